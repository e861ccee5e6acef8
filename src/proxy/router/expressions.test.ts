import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compileExpression } from './expressions.ts'
import { changeRouter, compileRouter, type RouteInput, type RoutingRequest } from './router.ts'

const get = (path: string, changes: Partial<RoutingRequest> = {}, headers: Record<string, string[]> = {}) => ({
  method: 'GET',
  host: 'api.test',
  port: 80,
  path,
  scheme: 'http',
  sni: undefined,
  clientIp: '192.0.2.7',
  clientPort: 50_000,
  serverIp: '10.0.0.1',
  serverPort: 8000,
  rawQuery: '',
  header: (name: string) => headers[name],
  ...changes,
})

let ids = 0
const route = (expression: string, changes: Partial<RouteInput> = {}): RouteInput => ({
  id: `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`,
  protocols: ['http', 'https'],
  expression,
  priority: 0,
  ...changes,
})

/** Whether a request fulfils an expression. */
function holds(expression: string, request: RoutingRequest): boolean {
  return compileRouter([{ route: route(expression), target: 1 }], 'expressions').match(request) !== undefined
}

const matched = (expression: string, path: string) => {
  const match = compileRouter([{ route: route(expression), target: 1 }], 'expressions').match(get(path))
  return match && { path: match.matchedPath, captures: match.captures && Object.fromEntries(match.captures) }
}

test('each field is what it says of the request', () => {
  const request = get('/a/b/c/', { rawQuery: 'x=1&y&x=2', host: 'api.test:9000', sni: 'sni.test', scheme: 'https' })
  const headers = { 'x-dashed': ['one'], under_score: ['two'], many: ['a', 'b'] }
  const all = { ...request, header: (name: string) => headers[name as keyof typeof headers] }
  const fulfilled = [
    'net.protocol == "https"',
    'tls.sni == "sni.test"',
    'http.method == "GET"',
    'http.host == "api.test"',
    'http.path == "/a/b/c/"',
    'http.path.segments.len == 3',
    'http.path.segments.0 == "a"',
    'http.path.segments.1_2 == "b/c"',
    'http.headers.x_dashed == "one"',
    'http.headers.under_score == "two"',
    'http.queries.y == ""',
    'any(http.queries.x) == "2"',
    'net.src.ip == 192.0.2.7',
    'net.src.ip in 192.0.2.0/24',
    'net.src.port == 50000',
    'net.dst.ip not in 192.0.2.0/24',
    'net.dst.port == 9000',
    'net.port == 9000',
  ]
  for (const expression of fulfilled) assert.equal(holds(expression, all), true, expression)
  assert.equal(holds('net.dst.port == 8000', get('/')), true)
  const literal = get('/', { host: '[::1]:9000' })
  assert.equal(holds('http.host == "[::1]" && net.dst.port == 9000', literal), true)
  assert.equal(holds('http.host == "[::1]" && net.dst.port == 8000', get('/', { host: '[::1]' })), true)
})

test('a field that a request does not have fulfils nothing, not even an inequality', () => {
  for (const expression of [
    'http.headers.absent == "x"',
    'http.headers.absent != "x"',
    'http.queries.absent != "x"',
    'tls.sni != "x"',
    'http.path.segments.5 != "x"',
    'http.path.segments.0_5 != "x"',
  ]) {
    assert.equal(holds(expression, get('/a')), false, expression)
  }
  assert.equal(holds('!(http.headers.absent == "x")', get('/a')), true)
})

test('every operator compares as it should', () => {
  const request = get('/Users/7')
  const truths: Readonly<Record<string, boolean>> = {
    'http.path ^= "/Users"': true,
    'http.path =^ "/7"': true,
    'http.path contains "sers"': true,
    'http.path ~ "^/[A-Z]+"': true,
    'http.path ~ "rs/\\\\d$"': true,
    'http.path ^= "/users"': false,
    'lower(http.path) ^= "/users"': true,
    'net.src.port > 50000': false,
    'net.src.port >= 50000': true,
    'net.src.port < 50001 && net.src.port <= 50000': true,
    'http.path != "/"': true,
    'http.path ^= "/x" || http.method == "GET" && net.protocol == "http"': true,
    '!(http.method == "GET")': false,
  }
  for (const [expression, truth] of Object.entries(truths)) assert.equal(holds(expression, request), truth, expression)
})

test('of several values all must fit, or any of them where that is said', () => {
  const request = get('/', {}, { tag: ['red', 'blue'] })
  assert.equal(holds('http.headers.tag == "red"', request), false)
  assert.equal(holds('any(http.headers.tag) == "blue"', request), true)
  assert.equal(holds('http.headers.tag ~ "^(red|blue)$"', request), true)
  assert.equal(holds('http.headers.tag != "green"', request), true)
  assert.equal(holds('any(lower(http.headers.tag)) == "green"', request), false)
})

test('what was matched of the path, and what was captured, are kept', () => {
  assert.deepEqual(matched('http.path ^= "/a"', '/a/b'), { path: '/a', captures: undefined })
  assert.deepEqual(matched('http.path == "/a/b"', '/a/b'), { path: '/a/b', captures: undefined })
  assert.deepEqual(matched(String.raw`http.path ~ r#"^/u/(?P<id>\d+)"#`, '/u/12/x'), {
    path: '/u/12',
    captures: { 1: '12', id: '12' },
  })
  assert.deepEqual(matched('http.method == "GET"', '/a'), { path: '', captures: undefined })
})

test('the greatest priority is taken, of equals the greatest id, and any expression before a route of fields', () => {
  const plain: RouteInput = {
    id: 'ffffffff-0000-4000-8000-000000000000',
    protocols: ['http'],
    methods: ['GET'],
    hosts: ['api.test'],
    paths: ['/a'],
    headers: { x: ['1'] },
  }
  const routes = [
    { route: plain, target: 'plain' },
    { route: route('http.path ^= "/"', { priority: 5 }), target: 'low' },
    { route: route('http.path ^= "/a"', { priority: 2 ** 46 - 1 }), target: 'high' },
    { route: route('http.path ^= "/b"', { id: '00000000-0000-4000-8000-00000000000a' }), target: 'a' },
    { route: route('http.path ^= "/b"', { id: '00000000-0000-4000-8000-00000000000b', priority: 5 }), target: 'b' },
  ]
  const router = compileRouter(routes, 'expressions')
  const request = get('/a', {}, { x: ['1'] })
  assert.equal(router.match(request)?.target, 'high')
  assert.equal(router.match(get('/c'))?.target, 'low')
  assert.equal(router.match({ ...request, path: '/b' })?.target, 'low')
  const without = changeRouter(router, [routes[1]!.route, routes[2]!.route], [])
  assert.equal(without.match(request)?.target, 'plain')
  assert.equal(without.match({ ...request, path: '/b' })?.target, 'b')
})

test('a route meets requests of its own protocols only, but one for TLS alone also plain ones, to tell them', () => {
  const protocols = (list: string[]) => {
    const router = compileRouter([{ route: route('http.path ^= "/"', { protocols: list }), target: 1 }], 'expressions')
    return ['http', 'https'].filter((scheme) => router.match(get('/', { scheme })))
  }
  assert.deepEqual(protocols(['http']), ['http'])
  assert.deepEqual(protocols(['http', 'https']), ['http', 'https'])
  assert.deepEqual(protocols(['https']), ['http', 'https'])
  const fields = compileRouter([{ route: { id: 'a', protocols: ['http'], paths: ['/'] }, target: 1 }], 'expressions')
  assert.equal(fields.match(get('/', { scheme: 'https' })), undefined)
})

test('routes of fields can tell connections apart', () => {
  const router = compileRouter(
    [
      { route: { id: 'a', protocols: ['http'], paths: ['/'], sources: [{ ip: '192.0.2.0/24' }] }, target: 'inside' },
      { route: { id: 'b', protocols: ['http'], paths: ['/'], destinations: [{ port: 8001 }] }, target: 'other port' },
    ],
    'expressions',
  )
  assert.equal(router.match(get('/'))?.target, 'inside')
  assert.equal(router.match(get('/', { clientIp: '203.0.113.1' })), undefined)
  assert.equal(router.match(get('/', { clientIp: '203.0.113.1', serverPort: 8001 }))?.target, 'other port')
})

test('an expression stands in the tables where the requests are that fulfil it', () => {
  const anchors = (expression: string) => {
    const compiled = compileExpression(expression)
    assert('anchors' in compiled)
    return compiled.anchors.map(({ kind, host, prefix }) => `${kind} ${host} ${prefix}`.trim())
  }
  assert.deepEqual(anchors('http.host == "a.test" && http.path ^= "/x"'), ['exact a.test /x'])
  assert.deepEqual(anchors('http.host == "a" || http.host == "b"'), ['exact a', 'exact b'])
  assert.deepEqual(anchors('(http.path ^= "/x" || http.path == "/y") && http.host =^ ".a.test"'), [
    'suffix .a.test /x',
    'suffix .a.test /y',
  ])
  assert.deepEqual(anchors('http.path ~ "^/users/[0-9]+"'), ['any  /users/'])
  assert.deepEqual(anchors('http.path ~ "/users"'), ['any'])
  assert.deepEqual(anchors('lower(http.path) ^= "/x"'), ['any'])
  assert.deepEqual(anchors('!(http.path ^= "/x")'), ['any'])
  assert.deepEqual(anchors('http.path ^= "/x" || net.src.port > 1'), ['any  /x', 'any'])
})

const hosts = ['a.test', 'b.a.test', 'b.org', 'c']
const paths = ['/', '/a', '/a/b', '/a/7', '/b/a', '/A']
const text = (...values: readonly string[]) => fc.constantFrom(...values).map((value) => JSON.stringify(value))
const predicate = fc.oneof(
  text('a.test', 'b.org').map((value) => `http.host == ${value}`),
  text('.a.test', 'test', '.org').map((value) => `http.host =^ ${value}`),
  text('b.', 'a', 'b').map((value) => `http.host ^= ${value}`),
  text('/a', '/', '/b').map((value) => `http.path ^= ${value}`),
  text('/a', '/a/b').map((value) => `http.path == ${value}`),
  text('^/a/[0-9]', 'a', '^/b|^/a', '(?i)^/a$').map((value) => `http.path ~ ${value}`),
  text('/a').map((value) => `lower(http.path) ^= ${value}`),
  text('GET', 'POST').map((value) => `http.method == ${value}`),
)
const expression = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    predicate,
    fc.tuple(tie('any'), tie('any')).map(([one, other]) => `(${one}) && (${other})`),
    fc.tuple(tie('any'), tie('any')).map(([one, other]) => `(${one}) || (${other})`),
    tie('any').map((inner) => `!(${inner})`),
  ),
})).any

test('looking in the tables finds what trying every route in order of priority finds', () => {
  const requests = hosts.flatMap((host) =>
    paths.flatMap((path) => ['GET', 'POST'].map((method) => get(path, { host, method }))),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(expression, fc.nat(3)), { minLength: 1, maxLength: 8 }), (given) => {
      const routes = given.map(([text, priority]) => route(text, { priority }))
      const router = compileRouter(
        routes.map((route) => ({ route, target: route.id })),
        'expressions',
      )
      const ordered = routes.toSorted(
        (one, other) => (other.priority ?? 0) - (one.priority ?? 0) || (one.id < other.id ? 1 : -1),
      )
      for (const request of requests) {
        const wanted = ordered.find((route) => {
          const compiled = compileExpression(route.expression ?? '')
          return 'condition' in compiled && compiled.condition(request, { matchedPath: '', captures: undefined })
        })
        assert.equal(router.match(request)?.target, wanted?.id, `${request.method} ${request.host}${request.path}`)
      }
    }),
    { numRuns: 100 },
  )
})
