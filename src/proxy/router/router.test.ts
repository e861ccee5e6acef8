import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalisePath } from './path.ts'
import { compileRouter, type RouteInput, type RoutingRequest } from './router.ts'

const route = (id: string, fields: Partial<RouteInput>): { route: RouteInput; target: string } => ({
  route: { id, protocols: ['http', 'https'], ...fields },
  target: id,
})

const get = (
  path: string,
  fields: Partial<RoutingRequest> & { headers?: Record<string, string[]> } = {},
): RoutingRequest => ({
  method: 'GET',
  host: 'any.test',
  port: 80,
  path: normalisePath(path) ?? '',
  scheme: 'http',
  sni: undefined,
  header: (name) => fields.headers?.[name],
  ...fields,
})

test('captures come by number and by name, and groups that took no part are absent', () => {
  const router = compileRouter([route('r', { paths: ['~/n/(?<id>[a-z]+)(/x)?/(\\w+)'] })])
  const match = router.match(get('/n/abc/def/ghi'))
  assert.equal(match?.matchedPath, '/n/abc/def')
  assert.deepEqual(
    [...(match?.captures ?? [])],
    [
      [1, 'abc'],
      [3, 'def'],
      ['id', 'abc'],
    ],
  )
})

test('a match without groups has no captures', () => {
  const router = compileRouter([route('p', { paths: ['/p'] }), route('r', { paths: ['~/r/\\d+'] })])
  assert.equal(router.match(get('/p/x'))?.captures, undefined)
  assert.equal(router.match(get('/r/12'))?.captures, undefined)
})

test('every alternative of a regular expression is held to the path’s start', () => {
  const router = compileRouter([route('r', { paths: ['~/admin|/b'] })])
  assert.equal(router.match(get('/b/x'))?.target, 'r')
  assert.equal(router.match(get('/x/b')), undefined)
})

test('regular expressions see the decoded path', () => {
  const router = compileRouter([route('r', { paths: ['~/sp\\sx$'] })])
  assert.equal(router.match(get('/sp%20x'))?.target, 'r')
})

test('a path that is not UTF-8 matches nothing as soon as one route has a path rule', () => {
  const bare = route('h', { hosts: ['any.test'] })
  assert.equal(compileRouter([bare]).match(get('/a/%e4'))?.target, 'h')
  assert.equal(compileRouter([bare, route('p', { paths: ['/p'] })]).match(get('/a/%e4')), undefined)
})

test('server names are looked at over TLS only', () => {
  const router = compileRouter([
    route('exact', { snis: ['a.test.'], hosts: ['exact.test'] }),
    route('left', { snis: ['*.b.test'], hosts: ['left.test'] }),
    route('right', { snis: ['c.*'], hosts: ['right.test'] }),
  ])
  const ask = (host: string, scheme: string, sni?: string) => router.match(get('/', { host, scheme, sni }))?.target
  assert.equal(ask('exact.test', 'http'), 'exact')
  assert.equal(ask('exact.test', 'https'), undefined)
  assert.equal(ask('exact.test', 'https', 'a.test'), 'exact')
  assert.equal(ask('left.test', 'https', 'x.b.test'), 'left')
  assert.equal(ask('left.test', 'grpcs', 'b.test'), undefined)
  assert.equal(ask('right.test', 'https', 'c.example'), 'right')
})

test('a header rule looks under the name with underscores first, then under the one with dashes', () => {
  const router = compileRouter([route('r', { headers: { 'X-Some-Name': ['yes'] } })])
  assert.equal(router.match(get('/', { headers: { 'x-some-name': ['no', 'YES'] } }))?.target, 'r')
  assert.equal(router.match(get('/', { headers: { x_some_name: ['yes'] } }))?.target, 'r')
  assert.equal(router.match(get('/', { headers: { x_some_name: ['no'], 'x-some-name': ['yes'] } })), undefined)
})

test('a header rule’s regular expression ignores case and keeps the meaning of its classes', () => {
  const router = compileRouter([route('r', { headers: { 'x-v': ['~*^V\\S+$'] } })])
  assert.equal(router.match(get('/', { headers: { 'x-v': ['v12'] } }))?.target, 'r')
  assert.equal(router.match(get('/', { headers: { 'x-v': ['v 1'] } })), undefined)
})

test('headers are asked for only when a route with header rules may match', () => {
  const router = compileRouter([
    route('p', { paths: ['/p'] }),
    route('h', { hosts: ['other.test'], headers: { 'x-v': ['1'] } }),
  ])
  const header = () => assert.fail('no header is of interest')
  assert.equal(router.match(get('/p', { header }))?.target, 'p')
})

test('a route that cannot be compiled is named and left out', () => {
  const router = compileRouter([route('bad', { paths: ['~/a(?=b)'] }), route('good', { paths: ['/'] })])
  assert.equal(router.problems.length, 1)
  assert.equal(router.problems[0]?.routeId, 'bad')
  assert.match(router.problems[0]?.message ?? '', /^paths: invalid regex: /)
  assert.equal(router.match(get('/ab'))?.target, 'good')
})

test('routes of streams, and routes without any condition, match nothing', () => {
  const router = compileRouter([route('tcp', { protocols: ['tcp'], snis: ['a.test'] }), route('empty', {})])
  assert.equal(router.match(get('/')), undefined)
})

test('a negative regex_priority comes after none', () => {
  const router = compileRouter([
    route('b', { paths: ['~/a.*'], regex_priority: -5 }),
    route('a', { paths: ['~/a\\w*'] }),
  ])
  assert.equal(router.match(get('/abc'))?.target, 'a')
})

test('a Host header full of dots costs no more than the longest host pattern', () => {
  const router = compileRouter([route('l', { hosts: ['*.wild.test'] }), route('r', { hosts: ['wild.*'] })])
  const host = `${'.'.repeat(30_000)}wild.test`
  const start = process.hrtime.bigint()
  for (let round = 0; round < 1000; round++) assert.equal(router.match(get('/', { host }))?.target, 'l')
  assert.ok(process.hrtime.bigint() - start < 1_000_000_000n)
})
