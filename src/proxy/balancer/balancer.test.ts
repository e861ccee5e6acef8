import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Addresses, type Failure, notFound, serverFailure } from '../dns/address.ts'
import { type Balancer, type TargetFields, compileHost, compileTargets } from './balancer.ts'
import { type Peer, noAddress, noPeer } from './peer.ts'

type Answer = Addresses | Failure | Promise<Addresses | Failure>

const resolverOf = (names: Record<string, Answer>) => ({
  lookup: (name: string) => names[name] ?? notFound,
  renew: () => undefined,
})
const tools = { resolver: resolverOf({}) }
const upstream = { id: 'up' }
const target = (id: string, place: string, weight = 100): TargetFields => ({ id, target: place, weight })
const v4 = (address: string) => ({ address, family: 4 as const })

function pickNow(balancer: Balancer, tried?: ReadonlySet<Peer>): Peer {
  const peer = balancer.pick(undefined, tried)
  assert(!(peer instanceof Promise) && peer.failed === undefined)
  return peer
}

const ports = (balancer: Balancer, count: number) => Array.from({ length: count }, () => pickNow(balancer).port)

test('targets of equal weight take turns, in the order of their age and id', () => {
  const targets = [target('c', '127.0.0.1:3'), target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2')]
  assert.deepEqual(ports(compileTargets(tools, upstream, targets), 5), [1, 2, 3, 1, 2])
})

test('a heavier target gets its share spread out, not in one go', () => {
  const targets = [target('a', '127.0.0.1:1', 5), target('b', '127.0.0.1:2', 1), target('c', '127.0.0.1:3', 1)]
  assert.deepEqual(ports(compileTargets(tools, upstream, targets), 7), [1, 1, 1, 2, 3, 1, 1])
})

test('over one round every target gets exactly its weight', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, (weights) => {
      fc.pre(weights.some((weight) => weight > 0))
      const targets = weights.map((weight, index) => target(String(index), `127.0.0.1:${index + 1}`, weight))
      const balancer = compileTargets(tools, upstream, targets)
      const taken = ports(
        balancer,
        weights.reduce((sum, weight) => sum + weight),
      )
      weights.forEach((weight, index) => assert.equal(taken.filter((port) => port === index + 1).length, weight))
    }),
  )
})

test('a retry goes to a target not yet tried, and to one of the tried when there is no other', () => {
  const balancer = compileTargets(tools, upstream, [target('a', '127.0.0.1:1', 9), target('b', '127.0.0.1:2', 1)])
  const first = pickNow(balancer)
  const second = pickNow(balancer, new Set([first]))
  assert.deepEqual([first.port, second.port], [1, 2])
  assert(pickNow(balancer, new Set([first, second])))
})

test('nobody can be picked from no targets, targets of weight 0, or names that do not exist', () => {
  assert.equal(compileTargets(tools, upstream, []).pick(), noPeer)
  assert.equal(compileTargets(tools, upstream, [target('a', '127.0.0.1:1', 0)]).pick(), noPeer)
  assert.equal(compileTargets(tools, upstream, [target('a', 'nowhere.test:1')]).pick(), noPeer)
  assert.equal(compileHost(tools, 'nowhere.test', 80).pick(), noAddress)
})

test('Host is the name that was configured, with the port unless it is the one of the scheme', () => {
  const resolver = resolverOf({ 'api.test': [v4('10.0.0.1')] })
  const host = (scheme: 'http' | 'https', name: string, port: number) => {
    const { hostHeaders, serverName } = pickNow(compileHost({ resolver }, name, port))
    return [hostHeaders[scheme], serverName]
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
    pickNow(compileTargets(tools, { ...upstream, host_header }, [target('a', '127.0.0.1:9000')])).hostHeaders.http
  assert.equal(header('fixed.test'), 'fixed.test:9000')
  assert.equal(header('fixed.test:1'), 'fixed.test:1')
})

test('an IPv6 target is reached by its address', () => {
  const balancer = compileTargets(tools, upstream, [target('a', '[0000:0000:0000:0000:0000:0000:0000:0001]:8000')])
  const { address, family, port } = pickNow(balancer)
  assert.deepEqual([address, family, port], ['0000:0000:0000:0000:0000:0000:0000:0001', 6, 8000])
})

test("each address of a name gets its target's whole weight", () => {
  const resolver = resolverOf({ 'two.test': [v4('10.0.0.1'), v4('10.0.0.2')] })
  const balancer = compileTargets({ resolver }, upstream, [
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
  const named = compileTargets({ resolver }, { ...upstream, use_srv_name: true }, [target('a', 'srv.test:80', 50)])
  const hosts = Array.from({ length: 3 }, () => pickNow(named).hostHeaders.http).toSorted()
  assert.deepEqual(hosts, ['one.test:7001', 'one.test:7001', 'two.test'])
  assert.equal(
    pickNow(compileTargets({ resolver }, upstream, [target('a', 'srv.test:80')])).hostHeaders.http,
    'srv.test:7001',
  )
})

test('a target of weight 0 takes nothing, whatever weights its SRV records have', () => {
  const resolver = resolverOf({ 'srv.test': [{ ...v4('10.0.0.1'), weight: 5 }] })
  const balancer = compileTargets({ resolver }, upstream, [target('a', 'srv.test:80', 0)])
  assert.equal(balancer.pick(), noPeer)
})

test('a request waits for the first answer about a name, and only then', async () => {
  const slow = Promise.withResolvers<Addresses | Failure>()
  const names: Record<string, Answer> = { 'slow.test': slow.promise, 'never.test': new Promise(() => {}) }
  const balancer = compileTargets({ resolver: resolverOf(names) }, upstream, [
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
  const balancer = compileTargets({ resolver }, upstream, [target('a', 'slow.test:1'), target('b', '10.0.0.9:1')])
  assert.equal(pickNow(balancer).address, '10.0.0.9')
  slow.resolve([v4('10.0.0.1')])
  await slow.promise
  await Promise.resolve()
  assert.deepEqual(new Set([pickNow(balancer).address, pickNow(balancer).address]), new Set(['10.0.0.1', '10.0.0.9']))
})

test('all names failing late ends in a failure, not in waiting', async () => {
  const resolver = resolverOf({ 'bad.test': Promise.resolve(serverFailure) })
  assert.equal(await compileHost({ resolver }, 'bad.test', 80).pick(), noAddress)
})

test('a new answer changes who is picked, and an address that stays keeps its peer', () => {
  let time = 0
  const names: Record<string, Answer> = { 'api.test': [v4('10.0.0.1'), v4('10.0.0.2')] }
  const balancer = compileHost({ resolver: resolverOf(names), now: () => time }, 'api.test', 80)
  const [one, two] = [pickNow(balancer), pickNow(balancer)]
  names['api.test'] = [v4('10.0.0.2'), v4('10.0.0.3')]
  time += 1000
  assert.deepEqual([pickNow(balancer).address, pickNow(balancer)], ['10.0.0.3', two])
  assert(![...balancer.peers.values()].includes(one))
})

test('a configuration that is the same gives the same balancer; one that differs keeps the peers that stay', () => {
  const targets = [target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2')]
  const before = compileTargets(tools, upstream, targets)
  const peer = pickNow(before)
  assert.equal(compileTargets(tools, upstream, [...targets].reverse(), before), before)
  const after = compileTargets(tools, upstream, [...targets, target('c', '127.0.0.1:3')], before)
  assert([...after.peers.values()].includes(peer))
  assert.equal(pickNow(after).port, 2)
})

test('a peer that is spoken to in another way is another peer with the same load', () => {
  const targets = [target('a', '127.0.0.1:1')]
  const before = compileTargets(tools, upstream, targets)
  const peer = pickNow(before)
  const after = pickNow(compileTargets(tools, { ...upstream, host_header: 'other.test' }, targets, before))
  assert.notEqual(after, peer)
  assert.equal(after.load, peer.load)
})

test('when the targets change, the turn goes on behind the one that was last', () => {
  const [a, b, c] = [target('a', '127.0.0.1:1'), target('b', '127.0.0.1:2'), target('c', '127.0.0.1:3')]
  const before = compileTargets(tools, upstream, [a, b])
  assert.deepEqual(ports(before, 1), [1])
  assert.deepEqual(ports(compileTargets(tools, upstream, [a, b, c], before), 3), [2, 3, 1])
})

test('a request refused by every address waits for the name to be asked again, and goes where it has moved', async () => {
  const old = [v4('10.0.0.1')]
  const fresh = [v4('10.0.0.2')]
  const renewed: string[] = []
  const resolver = {
    lookup: () => old,
    renew: (name: string) => {
      renewed.push(name)
      return Promise.resolve(fresh)
    },
  }
  const balancer = compileTargets({ resolver }, upstream, [target('a', 'moved.test:1')])
  const first = pickNow(balancer)
  const second = await balancer.pick(undefined, new Set([first]))
  assert(second.failed === undefined)
  assert.deepEqual([first.address, second.address, renewed], ['10.0.0.1', '10.0.0.2', ['moved.test']])
})

test('a target that comes gets its share from then on, and makes up for nothing', () => {
  const [a, b, c] = [target('a', '127.0.0.1:1', 30), target('b', '127.0.0.1:2', 10), target('c', '127.0.0.1:3', 20)]
  const before = compileTargets(tools, upstream, [a, b])
  ports(before, 1000)
  const taken = ports(compileTargets(tools, upstream, [a, b, c], before), 60)
  const share = (port: number) => taken.filter((found) => found === port).length
  assert.ok(Math.abs(share(1) - 30) <= 1 && Math.abs(share(2) - 10) <= 1 && Math.abs(share(3) - 20) <= 1, taken.join())
  assert.ok(taken.slice(0, 6).filter((found) => found === 3).length <= 3, taken.join())
})

test('a name that stays where it is gets its peer tried again', async () => {
  const addresses = [v4('10.0.0.1')]
  const resolver = { lookup: () => addresses, renew: () => Promise.resolve(addresses) }
  const balancer = compileTargets({ resolver }, upstream, [target('a', 'here.test:1')])
  const first = pickNow(balancer)
  assert.equal(await balancer.pick(undefined, new Set([first])), first)
})
