/** Which route a stream takes: Kong's order among those that match, and only those that match. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { emptyMap } from '../../config/persistent-map.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import type { RouterFlavor, RoutingRequest } from '../router/router.ts'
import type { ConnectionEnd } from '../router/rule.ts'
import type { ServicePlans } from '../service-plan.ts'
import { changeStreams, type StreamRouteFields, type Streams } from './plan.ts'
import { compileRule } from './rule.ts'

type Given = Partial<StreamRouteFields> & { readonly id: string }

const routeOf = (given: Given): StreamRouteFields => ({
  protocols: ['tcp', 'tls'],
  name: null,
  preserve_host: false,
  service: null,
  ...given,
})

/** A snapshot of nothing but these routes, services by their ids. */
function snapshotOf(routes: readonly Given[], services: Readonly<Record<string, object>> = {}): Snapshot {
  const all = emptyMap<{ id: string }>().edit()
  for (const route of routes) all.set(route.id, routeOf(route))
  const others = emptyMap<{ id: string }>().edit()
  for (const [id, service] of Object.entries(services)) others.set(id, { id, ...service })
  return { routes: all.done(), services: others.done() } as unknown as Snapshot
}

const noServices: ServicePlans = emptyMap()

const streamsOf = (routes: readonly Given[], routerFlavor?: RouterFlavor): Streams =>
  changeStreams(
    routerFlavor ? { routerFlavor } : {},
    snapshotOf(routes),
    noServices,
    routes.map(({ id }) => id),
  )

const connection = (given: Partial<RoutingRequest>): RoutingRequest => ({
  method: '',
  host: '',
  port: 0,
  path: '',
  scheme: 'tcp',
  sni: undefined,
  header: () => undefined,
  clientIp: '10.0.0.1',
  clientPort: 40_000,
  serverIp: '10.1.0.1',
  serverPort: 9000,
  rawQuery: '',
  ...given,
})

const taken = (streams: Streams, given: Partial<RoutingRequest>): string | undefined =>
  streams.match(connection(given))?.plan.route.id

test('server names match whole, by a wildcard at either end, in any case, and only over TLS', () => {
  const streams = streamsOf([
    { id: 'exact', snis: ['Shop.Test'] },
    { id: 'suffix', snis: ['*.shop.test'], protocols: ['tls'] },
    { id: 'prefix', snis: ['store.*'], protocols: ['tls_passthrough'] },
  ])
  const over = (sni: string | undefined) => streams.match(connection({ scheme: 'tls', sni }))
  assert.equal(over('shop.test')?.plan.route.id, 'exact')
  assert.equal(over('www.shop.test')?.plan.route.id, 'suffix')
  assert.equal(over('www.shop.test')?.protocol, 'tls')
  assert.equal(over('store.example')?.plan.route.id, 'prefix')
  assert.equal(over('store.example')?.protocol, 'tls_passthrough')
  assert.equal(over('other.test'), undefined)
  assert.equal(over(undefined), undefined)
  // Kong's issue 6425: without TLS a server name is no condition.
  assert.equal(taken(streams, { scheme: 'tcp' }), 'exact')
})

test('ends match by address, range and port', () => {
  const ends = (name: 'sources' | 'destinations', end: ConnectionEnd) => streamsOf([{ id: 'it', [name]: [end] }])
  const meets = (name: 'sources' | 'destinations', end: ConnectionEnd, given: Partial<RoutingRequest>) =>
    taken(ends(name, end), given) === 'it'
  assert.ok(meets('sources', { ip: '10.0.0.1' }, {}))
  assert.ok(meets('sources', { ip: '10.0.0.0/8' }, {}))
  assert.ok(!meets('sources', { ip: '10.0.0.2' }, {}))
  assert.ok(meets('sources', { port: 40_000 }, {}))
  assert.ok(!meets('sources', { ip: '10.0.0.1', port: 1 }, {}))
  assert.ok(meets('destinations', { port: 9000 }, {}))
  assert.ok(!meets('destinations', { port: 9001 }, {}))
  assert.ok(meets('destinations', { ip: '10.1.0.0/16', port: 9000 }, {}))
  assert.ok(meets('sources', { ip: 'fd00::/8' }, { clientIp: 'fd00::1' }))
  assert.ok(!meets('sources', { ip: 'fd00::/8' }, {}))
})

// From the greatest priority to the smallest, as Kong's `stream_get_priority` orders them.
const byPriority: readonly Given[] = [
  {
    id: 'both ends, addresses and ports',
    sources: [{ ip: '10.0.0.1', port: 40_000 }],
    destinations: [{ ip: '10.1.0.1', port: 9000 }],
  },
  { id: 'both ends, source by address', sources: [{ ip: '10.0.0.1' }], destinations: [{ ip: '10.1.0.0/16' }] },
  { id: 'both ends, source by range', sources: [{ ip: '10.0.0.0/8' }], destinations: [{ ip: '10.1.0.1', port: 9000 }] },
  { id: 'server name', snis: ['a.test'] },
  { id: 'source, address and port', sources: [{ ip: '10.0.0.1', port: 40_000 }] },
  { id: 'source, address', sources: [{ ip: '10.0.0.1' }] },
  { id: 'source, port and range', sources: [{ ip: '10.0.0.0/8', port: 40_000 }] },
  { id: 'source, port', sources: [{ port: 40_000 }] },
  { id: 'source, range', sources: [{ ip: '10.0.0.0/8' }] },
  { id: 'destination, address and port', destinations: [{ ip: '10.1.0.1', port: 9000 }] },
  { id: 'destination, address', destinations: [{ ip: '10.1.0.1' }] },
  { id: 'destination, port', destinations: [{ port: 9000 }] },
  { id: 'destination, range', destinations: [{ ip: '10.1.0.0/16' }] },
]

test("of routes that all match, Kong's order decides", () => {
  const seen: (string | undefined)[] = []
  for (let left = byPriority; left.length > 0; left = left.filter(({ id }) => id !== seen.at(-1)))
    seen.push(taken(streamsOf(left.toReversed()), { scheme: 'tls', sni: 'a.test' }))
  assert.deepEqual(
    seen,
    byPriority.map(({ id }) => id),
  )
})

test('of two alike the one with the greater id is taken', () => {
  const alike = ['a', 'c', 'b'].map((id) => ({ id, destinations: [{ port: 9000 }] }))
  assert.equal(taken(streamsOf(alike), {}), 'c')
})

test('a route meets no connection of another kind, however great its priority', () => {
  const streams = streamsOf([
    { id: 'plain', protocols: ['tcp'], sources: [{ ip: '10.0.0.1' }], destinations: [{ port: 9000 }] },
    { id: 'secure', protocols: ['tls'], destinations: [{ ip: '10.1.0.0/16' }] },
  ])
  assert.equal(taken(streams, { scheme: 'tls' }), 'secure')
  assert.equal(taken(streams, { scheme: 'tcp' }), 'plain')
})

test('expressions see protocol, server name and both ends, and come before fields', () => {
  const expression = (text: string, priority = 0, id = 'it') =>
    ({ id, protocols: ['tcp', 'tls'], expression: text, priority }) satisfies Given
  const meets = (text: string, given: Partial<RoutingRequest>) =>
    taken(streamsOf([expression(text)], 'expressions'), given) === 'it'
  assert.ok(meets('tls.sni =^ ".test" && net.protocol == "tls"', { scheme: 'tls', sni: 'a.test' }))
  assert.ok(!meets('tls.sni =^ ".test"', {}))
  assert.ok(meets('net.protocol == "tcp"', {}))
  assert.ok(meets('net.src.ip in 10.0.0.0/8 && net.src.port == 40000', {}))
  assert.ok(meets('net.dst.ip == 10.1.0.1 && net.dst.port >= 9000', {}))
  assert.ok(!meets('net.dst.port == 9001', {}))
  const streams = streamsOf(
    [
      expression('net.dst.port == 9000', 1, 'low'),
      expression('net.dst.port > 0', 2, 'high'),
      { id: 'fields', sources: [{ ip: '10.0.0.1', port: 40_000 }], destinations: [{ port: 9000 }] },
    ],
    'expressions',
  )
  assert.equal(taken(streams, {}), 'high')
})

test('a route that cannot work is named with why: UDP, or a service that is not for streams', () => {
  const service = { id: 'of http' }
  const routes = [
    { id: 'datagrams', protocols: ['udp'], destinations: [{ port: 53 }] },
    { id: 'requests', destinations: [{ port: 80 }], service },
    { id: 'disabled', destinations: [{ port: 81 }], service: { id: 'off' } },
  ]
  const services = { 'of http': { protocol: 'http', enabled: true }, off: { protocol: 'tcp', enabled: false } }
  const ids = routes.map(({ id }) => id)
  const streams = changeStreams({}, snapshotOf(routes, services), noServices, ids)
  assert.deepEqual(streams.problems, [
    { routeId: 'datagrams', message: 'proxying UDP is not available' },
    { routeId: 'requests', message: 'the protocol of its service is http, and has to be tcp or tls' },
  ])
  const [datagrams] = routes
  const mended = changeStreams({}, snapshotOf(datagrams ? [datagrams] : []), noServices, ids, streams)
  assert.equal(mended.problems.length, 1)
  for (const serverPort of [80, 81]) assert.equal(taken(streams, { serverPort }), undefined)
})

test('a change keeps what it does not concern, and streams without one are the same object', () => {
  const routes = [
    { id: 'a', destinations: [{ port: 9000 }] },
    { id: 'b', destinations: [{ port: 9001 }] },
  ]
  const before = streamsOf(routes)
  assert.equal(changeStreams({}, snapshotOf(routes), noServices, [], before), before)
  const after = changeStreams({}, snapshotOf(routes.slice(0, 1)), noServices, ['b'], before)
  assert.equal(taken(before, { serverPort: 9001 }), 'b')
  assert.equal(taken(after, { serverPort: 9001 }), undefined)
  assert.equal(taken(after, { serverPort: 9000 }), 'a')
})

// ---- the tables find what trying every route finds

const few = <T>(...values: readonly T[]) => fc.constantFrom(...values)
const end = fc.oneof(
  fc.record({ ip: few('10.0.0.1', '10.0.0.0/8', '10.1.0.1', '10.1.0.0/16') }),
  fc.record({ port: few(9000, 9001, 40_000) }),
  fc.record({ ip: few('10.0.0.1', '10.1.0.0/16'), port: few(9000, 9001, 40_000) }),
)
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 2 })
const anyRoute = fc.record({
  id: fc.uuid(),
  protocols: few(['tcp'], ['tls'], ['tcp', 'tls'], ['tls_passthrough']),
  snis: some(few('a.test', '*.test', 'a.*', 'b.test')),
  sources: some(end),
  destinations: some(end),
})
const anyConnection = fc.record({
  scheme: few('tcp', 'tls'),
  sni: few('a.test', 'b.test', 'x.test', undefined),
  clientIp: few('10.0.0.1', '10.0.0.2', '192.0.2.1'),
  serverPort: few(9000, 9001),
  clientPort: few(40_000, 9000),
})

test('the tables find the route that trying them all finds', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyRoute, { selector: ({ id }) => id, maxLength: 12 }),
      anyConnection,
      (routes, given) => {
        const sought = connection({ ...given, sni: given.scheme === 'tls' ? given.sni : undefined })
        const scheme = given.scheme === 'tls' ? 'tls' : 'tcp'
        const rules = routes.flatMap((route) => {
          const rule = compileRule(routeOf(route), 'traditional_compatible')
          return 'problem' in rule || !rule.takes[scheme] || !rule.holds(sought) ? [] : [rule]
        })
        const [best] = rules.toSorted((one, other) => other.priority - one.priority || (one.id > other.id ? -1 : 1))
        assert.equal(streamsOf(routes).match(sought)?.plan.route.id, best?.id)
      },
    ),
    { numRuns: 2000 },
  )
})
