import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Addresses, type Failure, notFound, serverFailure } from '../dns/address.ts'
import { type Balancer, type TargetFields, compileHost, compileTargets } from './balancer.ts'
import { type Peer, noAddress, noPeer } from './peer.ts'

type Answer = Addresses | Failure | Promise<Addresses | Failure>

const resolverOf = (names: Record<string, Answer>) => ({ lookup: (name: string) => names[name] ?? notFound })
const tools = { resolver: resolverOf({}) }
const target = (id: string, place: string, weight = 100): TargetFields => ({ id, target: place, weight })
const v4 = (address: string) => ({ address, family: 4 as const })

function pickNow(balancer: Balancer, tried?: ReadonlySet<Peer>): Peer {
  const peer = balancer.pick(tried)
  assert(!(peer instanceof Promise) && peer.failed === undefined)
  return peer
}

const ports = (balancer: Balancer, count: number) => Array.from({ length: count }, () => pickNow(balancer).port)

test('targets of equal weight take turns, in the order of their age and id', () => {
  const targets = [target('c', '127.0.0.1:3'), target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2')]
  assert.deepEqual(ports(compileTargets(tools, 'http', {}, targets), 5), [1, 2, 3, 1, 2])
})

test('a heavier target gets its share spread out, not in one go', () => {
  const targets = [target('a', '127.0.0.1:1', 5), target('b', '127.0.0.1:2', 1), target('c', '127.0.0.1:3', 1)]
  assert.deepEqual(ports(compileTargets(tools, 'http', {}, targets), 7), [1, 1, 2, 1, 3, 1, 1])
})

test('over one round every target gets exactly its weight', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, (weights) => {
      fc.pre(weights.some((weight) => weight > 0))
      const targets = weights.map((weight, index) => target(String(index), `127.0.0.1:${index + 1}`, weight))
      const balancer = compileTargets(tools, 'http', {}, targets)
      const taken = ports(
        balancer,
        weights.reduce((sum, weight) => sum + weight),
      )
      weights.forEach((weight, index) => assert.equal(taken.filter((port) => port === index + 1).length, weight))
    }),
  )
})

test('a retry goes to a target not yet tried, and to one of the tried when there is no other', () => {
  const balancer = compileTargets(tools, 'http', {}, [target('a', '127.0.0.1:1', 9), target('b', '127.0.0.1:2', 1)])
  const first = pickNow(balancer)
  const second = pickNow(balancer, new Set([first]))
  assert.deepEqual([first.port, second.port], [1, 2])
  assert(pickNow(balancer, new Set([first, second])))
})

test('a target that is not healthy takes nothing until it is again', () => {
  const balancer = compileTargets(tools, 'http', {}, [target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2')])
  const first = pickNow(balancer)
  first.healthy = false
  assert.deepEqual(ports(balancer, 3), [2, 2, 2])
  first.healthy = true
  assert.equal(new Set(ports(balancer, 2)).size, 2)
})

test('nobody can be picked from no targets, targets of weight 0, sick targets, or names that do not exist', () => {
  assert.equal(compileTargets(tools, 'http', {}, []).pick(), noPeer)
  assert.equal(compileTargets(tools, 'http', {}, [target('a', '127.0.0.1:1', 0)]).pick(), noPeer)
  assert.equal(compileTargets(tools, 'http', {}, [target('a', 'nowhere.test:1')]).pick(), noPeer)
  const sick = compileTargets(tools, 'http', {}, [target('a', '127.0.0.1:1')])
  pickNow(sick).healthy = false
  assert.equal(sick.pick(), noPeer)
  assert.equal(compileHost(tools, 'http', 'nowhere.test', 80).pick(), noAddress)
})

test('Host is the name that was configured, with the port unless it is the one of the scheme', () => {
  const resolver = resolverOf({ 'api.test': [v4('10.0.0.1')] })
  const host = (scheme: 'http' | 'https', name: string, port: number) => {
    const { hostHeader, serverName } = pickNow(compileHost({ resolver }, scheme, name, port))
    return [hostHeader, serverName]
  }
  assert.deepEqual(host('http', 'api.test', 80), ['api.test', 'api.test'])
  assert.deepEqual(host('http', 'api.test', 443), ['api.test:443', 'api.test'])
  assert.deepEqual(host('https', 'api.test', 443), ['api.test', 'api.test'])
  assert.deepEqual(host('https', 'api.test', 8443), ['api.test:8443', 'api.test'])
  assert.deepEqual(host('http', '127.0.0.1', 9000), ['127.0.0.1:9000', ''])
  assert.deepEqual(host('https', '::1', 9000), ['[::1]:9000', ''])
  assert.deepEqual(host('https', '[::1]', 443), ['[::1]', ''])
})

test("an upstream's host_header stands in place of the target's name", () => {
  const header = (host_header: string) =>
    pickNow(compileTargets(tools, 'http', { host_header }, [target('a', '127.0.0.1:9000')])).hostHeader
  assert.equal(header('fixed.test'), 'fixed.test:9000')
  assert.equal(header('fixed.test:1'), 'fixed.test:1')
})

test('an IPv6 target is reached by its address', () => {
  const balancer = compileTargets(tools, 'http', {}, [target('a', '[0000:0000:0000:0000:0000:0000:0000:0001]:8000')])
  const { address, family, port } = pickNow(balancer)
  assert.deepEqual([address, family, port], ['0000:0000:0000:0000:0000:0000:0000:0001', 6, 8000])
})

test("each address of a name gets its target's whole weight", () => {
  const resolver = resolverOf({ 'two.test': [v4('10.0.0.1'), v4('10.0.0.2')] })
  const balancer = compileTargets({ resolver }, 'http', {}, [
    target('a', 'two.test:1', 10),
    target('b', '10.0.0.3:1', 20),
  ])
  const taken = Array.from({ length: 4 }, () => pickNow(balancer).address).toSorted()
  assert.deepEqual(taken, ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.3'])
})

test('an SRV record gives port, weight and, where wanted, the name in Host', () => {
  const resolver = resolverOf({
    'srv.test': [
      { ...v4('10.0.0.1'), port: 7001, weight: 2, name: 'one.test' },
      { ...v4('10.0.0.2'), weight: 1, name: 'two.test' },
    ],
  })
  const named = compileTargets({ resolver }, 'http', { use_srv_name: true }, [target('a', 'srv.test:80', 50)])
  const hosts = Array.from({ length: 3 }, () => pickNow(named).hostHeader).toSorted()
  assert.deepEqual(hosts, ['one.test:7001', 'one.test:7001', 'two.test'])
  assert.equal(
    pickNow(compileTargets({ resolver }, 'http', {}, [target('a', 'srv.test:80')])).hostHeader,
    'srv.test:7001',
  )
})

test('a request waits for the first answer about a name, and only then', async () => {
  const slow = Promise.withResolvers<Addresses | Failure>()
  const names: Record<string, Answer> = { 'slow.test': slow.promise, 'never.test': new Promise(() => {}) }
  const balancer = compileTargets({ resolver: resolverOf(names) }, 'http', {}, [
    target('a', 'slow.test:1'),
    target('b', 'never.test:1'),
  ])
  const waiting = balancer.pick()
  assert(waiting instanceof Promise)
  slow.resolve([v4('10.0.0.1')])
  assert.equal(await waiting, pickNow(balancer))
  assert.equal(pickNow(balancer).address, '10.0.0.1')
})

test('a name still being asked for holds up nobody while another target is there', async () => {
  const slow = Promise.withResolvers<Addresses | Failure>()
  const resolver = resolverOf({ 'slow.test': slow.promise })
  const balancer = compileTargets({ resolver }, 'http', {}, [target('a', 'slow.test:1'), target('b', '10.0.0.9:1')])
  assert.equal(pickNow(balancer).address, '10.0.0.9')
  slow.resolve([v4('10.0.0.1')])
  await slow.promise
  await Promise.resolve()
  assert.deepEqual(new Set([pickNow(balancer).address, pickNow(balancer).address]), new Set(['10.0.0.1', '10.0.0.9']))
})

test('all names failing late ends in a failure, not in waiting', async () => {
  const resolver = resolverOf({ 'bad.test': Promise.resolve(serverFailure) })
  assert.equal(await compileHost({ resolver }, 'http', 'bad.test', 80).pick(), noAddress)
})

test('a new answer changes who is picked, and an address that stays keeps its peer', () => {
  let time = 0
  const names: Record<string, Answer> = { 'api.test': [v4('10.0.0.1'), v4('10.0.0.2')] }
  const balancer = compileHost({ resolver: resolverOf(names), now: () => time }, 'http', 'api.test', 80)
  const [one, two] = [pickNow(balancer), pickNow(balancer)]
  names['api.test'] = [v4('10.0.0.2'), v4('10.0.0.3')]
  time += 1000
  assert.deepEqual([pickNow(balancer), pickNow(balancer).address], [two, '10.0.0.3'])
  assert(![...balancer.peers.values()].includes(one))
})

test('a configuration that is the same gives the same balancer; one that differs keeps the peers that stay', () => {
  const targets = [target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2')]
  const before = compileTargets(tools, 'http', {}, targets)
  const peer = pickNow(before)
  assert.equal(compileTargets(tools, 'http', {}, [...targets].reverse(), before), before)
  const after = compileTargets(tools, 'http', {}, [...targets, target('c', '127.0.0.1:3')], before)
  assert.equal(pickNow(after), peer)
  assert.notEqual(pickNow(compileTargets(tools, 'https', {}, targets, before)), peer)
})
