/** What was compiled change by change against what is compiled from scratch: no request must see a difference. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { renewSnapshot, takeSnapshot, type SnapshotSource } from '../config/snapshot.ts'
import type { Plugin } from '../pdk/plugin.ts'
import { pick, type Chain } from './chains.ts'
import { closed } from './closed.ts'
import { chainOfPlan, compile, type Compiled, type PlanTools, type RoutePlan } from './plan.ts'

type Stored = { readonly id: string; readonly [field: string]: unknown }

const plugin = (priority: number): Plugin<never, unknown> => ({
  version: '1',
  priority,
  prepare: (config: object) => ({ ...config }),
  access: () => undefined,
})

const tools: PlanTools = {
  plugins: new Map([
    ['first', plugin(20)],
    ['second', plugin(10)],
    ['third', plugin(10)],
  ]),
  withSecrets: (_kind, entity, vaults) => {
    const config = entity['config'] as { readonly secret?: string } | undefined
    if (config?.secret !== '{vault://v}') return entity
    return { ...entity, config: { ...config, secret: [...vaults.values()].map(({ id }) => id).toSorted() } }
  },
  warn: () => undefined,
  resolver: { lookup: () => [], renew: () => undefined },
}

const idFrom = (kind: string, count: number) => fc.nat({ max: count - 1 }).map((at) => `${kind}-${at}`)
const referenceTo = (kind: string, count: number) => fc.option(idFrom(kind, count).map((id) => ({ id })))
const hosts = ['a.test', 'b.test', '*.a.test', 'b.*']
const paths = ['/', '/a', '/a/b', '/b', '~/a/\\d+']
const some = (values: readonly string[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }))

/** The fields of an entity of each kind, but for its id. */
const fields = {
  routes: fc.record({
    protocols: fc.constantFrom(['http', 'https'], ['http'], ['tcp']),
    hosts: some(hosts),
    paths: some(paths),
    methods: fc.option(fc.constant(['GET'])),
    service: referenceTo('services', 4),
  }),
  services: fc.record({
    protocol: fc.constantFrom('http', 'https', 'tcp'),
    host: fc.constantFrom('one.test', 'two.test', '127.0.0.1'),
    port: fc.constantFrom(80, 81),
    enabled: fc.constantFrom(true, true, true, false),
    client_certificate: referenceTo('certificates', 2),
    ca_certificates: fc.option(fc.constant(['ca_certificates-0'])),
  }),
  plugins: fc.record({
    name: fc.constantFrom('first', 'second', 'third'),
    enabled: fc.constantFrom(true, true, true, false),
    protocols: fc.constantFrom(['http', 'https'], ['tcp']),
    config: fc.record({ value: fc.nat({ max: 3 }), secret: fc.constantFrom('plain', '{vault://v}') }),
    route: referenceTo('routes', 6),
    service: referenceTo('services', 4),
    consumer: referenceTo('consumers', 2),
  }),
  upstreams: fc.record({
    algorithm: fc.constantFrom('round-robin', 'latency'),
    client_certificate: referenceTo('certificates', 2),
  }),
  targets: fc.record({
    target: fc.constantFrom('10.0.0.1:80', '10.0.0.2:80'),
    weight: fc.constantFrom(0, 1, 100),
    upstream: idFrom('upstreams', 2).map((id) => ({ id })),
  }),
  certificates: fc.record({ cert: fc.constantFrom('x', 'y'), key: fc.constant('k') }),
  ca_certificates: fc.record({ cert: fc.constantFrom('x', 'y') }),
  vaults: fc.record({ prefix: fc.constantFrom('v', 'w') }),
} as const
const counts = {
  routes: 6,
  services: 4,
  plugins: 8,
  upstreams: 2,
  targets: 4,
  certificates: 2,
  ca_certificates: 1,
  vaults: 2,
}
type Kind = keyof typeof fields
const kinds = Object.keys(fields) as Kind[]

interface Change {
  readonly kind: Kind
  readonly id: string
  /** Undefined where the entity goes. */
  readonly entity: Stored | undefined
}

const changeOf = (kind: Kind): fc.Arbitrary<Change> =>
  fc
    .tuple(idFrom(kind, counts[kind]), fc.option(fields[kind] as fc.Arbitrary<object>, { nil: undefined, freq: 4 }))
    .map(([id, given]) => {
      // Upstreams have the names that services have for hosts, each its own.
      const name = kind === 'upstreams' ? { name: id === 'upstreams-0' ? 'one.test' : 'two.test' } : {}
      return { kind, id, entity: given && { id, ...given, ...name } }
    })
const change = fc.constantFrom<Kind>('routes', 'routes', 'services', 'plugins', 'plugins', ...kinds).chain(changeOf)
const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 12 })

/** A store in memory in which no two plugins share scope and name, as in the real one. */
function memory() {
  const content = new Map(kinds.map((kind) => [kind, new Map<string, Stored>()]))
  const scopeOf = ({ name, route, service, consumer }: Stored) => JSON.stringify([name, route, service, consumer])
  const source: SnapshotSource = {
    revision: 0,
    get: (kind, id) => content.get(kind as Kind)?.get(id),
    all: (kind) => [...(content.get(kind as Kind)?.values() ?? [])],
  }
  const put = ({ kind, id, entity }: Change) => {
    const ofKind = content.get(kind) as Map<string, Stored>
    if (!entity) ofKind.delete(id)
    else if (
      kind === 'plugins' &&
      [...ofKind.values()].some((other) => other.id !== id && scopeOf(other) === scopeOf(entity))
    )
      return
    else ofKind.set(id, entity)
  }
  return { source, put }
}

const requests = ['a.test', 'x.a.test', 'b.test', 'b.com', 'c.org'].flatMap((host) =>
  ['/', '/a', '/a/b', '/a/7', '/b', '/c'].flatMap((path) =>
    ['GET', 'POST'].map((method) => ({
      host,
      path,
      method,
      port: 80,
      scheme: 'http',
      sni: undefined,
      header: () => undefined,
    })),
  ),
)

const told = (chain: Chain) => ({
  ...chain,
  calls: chain.calls.map((call) => ({
    name: call.name,
    ready: call.ready,
    picked: ['consumers-0', 'consumers-1', 'nobody', undefined].map((consumer) => pick(call, consumer)),
  })),
})

const service = ({ service }: RoutePlan) => service && { ...service, balancer: service.balancer.key }

/** All that a request can meet. */
const answers = (compiled: Compiled): unknown => [
  told(compiled.chain),
  requests.map((request) => {
    const match = compiled.router.match(request)
    const plan = match && compiled.plans[match.target]
    return plan && [match.matchedPath, plan.route, service(plan), told(chainOfPlan(compiled, plan))]
  }),
]

test('a configuration renewed change by change routes and chains as one made from scratch, and the ones before stay as they were', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const { source, put } = memory()
      let snapshot = takeSnapshot(source)
      let compiled = compile(tools, snapshot)
      for (const changes of sequence) {
        const [before, answersBefore] = [compiled, answers(compiled)]
        changes.forEach(put)
        snapshot = renewSnapshot(snapshot, source, changes)
        compiled = compile(tools, snapshot, compiled)
        assert.deepEqual(answers(compiled), answers(compile(tools, takeSnapshot(source))))
        assert.deepEqual(answers(before), answersBefore)
      }
    }),
    { numRuns: 300 },
  )
})

test('a change of one route leaves every other plan, and all services and chains, the same objects', () => {
  const { source, put } = memory()
  const route = (at: number, path: string): Change => ({
    kind: 'routes',
    id: `routes-${at}`,
    entity: { id: `routes-${at}`, protocols: ['http'], paths: [path], service: { id: 'services-0' } },
  })
  put({
    kind: 'services',
    id: 'services-0',
    entity: { id: 'services-0', protocol: 'http', host: 'h', port: 80, enabled: true },
  })
  for (let at = 0; at < 50; at++) put(route(at, `/${at}`))
  const snapshot = takeSnapshot(source)
  const before = compile(tools, snapshot)
  put(route(7, '/other'))
  const after = compile(tools, renewSnapshot(snapshot, source, [route(7, '/other')]), before)
  const differing = after.plans.filter((plan, at) => plan !== before.plans[at])
  assert.deepEqual(
    differing.map((plan) => plan?.route.id),
    ['routes-7'],
  )
  assert.equal(after.services, before.services)
  assert.equal(after.chains, before.chains)
})

test('a change of a global plugin leaves all plans and chains the same objects, and takes part in each when it is asked for', () => {
  const { source, put } = memory()
  const pluginOf = (id: string, name: string, value: string, service: string | null): Change => ({
    kind: 'plugins',
    id,
    entity: { id, name, enabled: true, protocols: ['http'], config: { value }, service: service && { id: service } },
  })
  const here = { id: 'services-0', protocol: 'http', host: 'h', port: 80, enabled: true }
  put({ kind: 'services', id: 'services-0', entity: here })
  const route = { id: 'routes-0', protocols: ['http'], paths: ['/a'], service: { id: 'services-0' } }
  put({ kind: 'routes', id: 'routes-0', entity: route })
  put(pluginOf('plugins-0', 'first', 'own', 'services-0'))
  const snapshot = takeSnapshot(source)
  const before = compile(tools, snapshot)
  const global = pluginOf('plugins-1', 'second', 'everywhere', null)
  put(global)
  const after = compile(tools, renewSnapshot(snapshot, source, [global]), before)
  assert.deepEqual(after.plans, before.plans)
  assert.equal(after.plans[0], before.plans[0])
  assert.equal(after.chains.services, before.chains.services)
  const namesIn = (compiled: Compiled) => chainOfPlan(compiled, compiled.plans[0]).calls.map(({ name }) => name)
  assert.deepEqual(
    [namesIn(before), namesIn(after).toSorted(), namesIn(before)],
    [['first'], ['first', 'second'], ['first']],
  )
})

test('a config without its secrets closes its own chain alone, and is taken up by the next change that mends it', () => {
  const failing: PlanTools = {
    ...tools,
    withSecrets: (_kind, entity) => {
      if ((entity['config'] as { value: string }).value === 'bad') throw new Error('cannot be prepared')
      return entity
    },
  }
  const { source, put } = memory()
  const global = (value: string): Change => ({
    kind: 'plugins',
    id: 'plugins-0',
    entity: { id: 'plugins-0', name: 'first', enabled: true, protocols: ['http'], config: { value } },
  })
  put(global('good'))
  const snapshot = takeSnapshot(source)
  const before = compile(failing, snapshot)
  const was = answers(before)
  put(global('bad'))
  const renewed = renewSnapshot(snapshot, source, [global('bad')])
  const during = compile(failing, renewed, before)
  assert.equal(during.chain.calls[0]?.ready, closed)
  assert.deepEqual(answers(before), was)
  put(global('better'))
  const after = compile(failing, renewSnapshot(renewed, source, [global('better')]), during)
  assert.deepEqual(after.chain.calls[0]?.ready, { value: 'better' })
})

test('a plugin that may not run here, and would refuse requests where it does, keeps a configuration from coming into force', () => {
  const { source, put } = memory()
  put({
    kind: 'plugins',
    id: 'plugins-0',
    entity: { id: 'plugins-0', name: 'elsewhere', enabled: true, protocols: ['http'], config: {} },
  })
  assert.throws(() => compile(tools, takeSnapshot(source)), {
    message: 'the plugin elsewhere (plugins-0) is in use but not enabled on this node',
  })
})
