/** Clients that stay with the target that they were given first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notFound } from '../dns/address.ts'
import { type Balancer, compileTargets, type UpstreamFields } from './balancer.ts'
import type { Peer } from './peer.ts'

const tools = { resolver: { lookup: () => notFound, renew: () => undefined } }
const upstream = { id: 'up', sticky_sessions_cookie: 'seat', sticky_sessions_cookie_path: '/shop' }
const targets = (...ports: readonly number[]) =>
  ports.map((port) => ({ id: `t${port}`, target: `127.0.0.1:${port}`, weight: 100 }))
const balancerOf = (ports: readonly number[], fields: UpstreamFields = upstream, previous?: Balancer) =>
  compileTargets(tools, fields, targets(...ports), previous)

/** What a client with this cookie meets, and the cookie that it is given. */
function visit(balancer: Balancer, cookie?: string, tried?: ReadonlySet<Peer>) {
  const header = (name: string) => (name === 'cookie' && cookie !== undefined ? [`a=1; ${cookie}`] : undefined)
  const request = { clientIp: '', path: '/', rawQuery: '', identity: undefined, match: undefined, header }
  const hash = balancer.hashOf?.({ ...request, balancerCookie: undefined })
  const peer = balancer.pick(hash, tried)
  assert.ok(!(peer instanceof Promise) && peer.failed === undefined)
  return { peer, port: peer.port, cookie: balancer.cookieFor?.(peer, hash) }
}

const sent = (setCookie = ''): string => setCookie.split(';')[0] ?? ''

test('a client stays where it was sent first, on every node, whatever targets come', () => {
  const balancer = balancerOf([1, 2, 3])
  const first = visit(balancer)
  assert.match(first.cookie ?? '', /^seat=[\da-z]+; Path=\/shop; SameSite=Lax; HttpOnly$/)
  for (let times = 0; times < 5; times++) {
    const again = visit(balancer, sent(first.cookie))
    assert.deepEqual([again.port, again.cookie], [first.port, undefined])
  }
  const elsewhere = visit(balancerOf([9, 8, 7, 3, 2, 1, 5]), sent(first.cookie))
  assert.deepEqual([elsewhere.port, elsewhere.cookie], [first.port, undefined])
  assert.equal(visit(balancerOf([9, 8, 1, 2, 3], upstream, balancer), sent(first.cookie)).port, first.port)
})

test('new clients are spread by the algorithm, those who stay left aside', () => {
  const balancer = balancerOf([1, 2, 3])
  const { cookie } = visit(balancer)
  const ports = [1, 2, 3].map(() => {
    visit(balancer, sent(cookie))
    return visit(balancer).port
  })
  assert.deepEqual(ports, [2, 3, 1])
  for (const algorithm of ['least-connections', 'latency', 'consistent-hashing']) {
    const other = balancerOf([1, 2], { ...upstream, algorithm, hash_on: 'ip' })
    const { cookie: given, port } = visit(other)
    assert.equal(visit(other, sent(given)).port, port, algorithm)
  }
})

test('who names a target that is gone, has failed, or never was, is given another one', () => {
  const first = visit(balancerOf([1]))
  const moved = visit(balancerOf([2]), sent(first.cookie))
  assert.equal(moved.port, 2)
  assert.match(moved.cookie ?? '', /^seat=/)
  const balancer = balancerOf([1, 2])
  const own = visit(balancer, sent(first.cookie))
  assert.equal(own.port, 1)
  const retried = visit(balancer, sent(first.cookie), new Set([own.peer]))
  assert.equal(retried.port, 2)
  assert.equal(sent(retried.cookie), sent(moved.cookie))
  for (const cookie of ['seat=', 'seat=zzzzzzzzzzzz', 'seat=-1', 'seat=__proto__', 'seat=1e3', 'seat=A'])
    assert.match(visit(balancer, cookie).cookie ?? '', /^seat=/, cookie)
})

test('another upstream has other numbers, and one without the field no cookie', () => {
  const one = visit(balancerOf([1]))
  assert.notEqual(sent(visit(balancerOf([1], { ...upstream, id: 'other' })).cookie), sent(one.cookie))
  assert.equal(balancerOf([1], { id: 'up' }).cookieFor, undefined)
})
