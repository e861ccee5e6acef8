/** Which of a plugin's configs holds, for every set of scopes that it may be configured for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeSnapshot } from '../config/snapshot.ts'
import type { AccessKong } from '../pdk/kong.ts'
import type { Plugin } from '../pdk/plugin.ts'
import { pick, type Chain } from './chains.ts'
import { chainOfPlan, compile, type PlanTools } from './plan.ts'

/** The scopes in Kong's order, the first that is there being the one that holds. Source: Kong's docs, "Plugin precedence", and the recorded answers. */
const order = [
  'consumer route service',
  'consumer route',
  'consumer service',
  'route service',
  'consumer',
  'route',
  'service',
  'everywhere',
] as const
type Scope = (typeof order)[number]

const plugin: Plugin<never, unknown> = {
  version: '1',
  priority: 1,
  prepare: (config) => prepared(config),
  access: () => undefined,
}
const tools: PlanTools = {
  plugins: new Map([['one', plugin]]),
  withSecrets: (_kind, entity) => entity,
  warn: () => {},
  resolver: { lookup: () => [], renew: () => undefined },
}

const inScope = (scope: Scope, kind: string) => (scope.split(' ').includes(kind) ? { id: kind } : null)

const pluginOf = (scope: Scope) => ({
  id: scope,
  name: 'one',
  enabled: true,
  protocols: ['http'],
  config: { scope },
  route: inScope(scope, 'route'),
  service: inScope(scope, 'service'),
  consumer: inScope(scope, 'consumer'),
})

/** Compiles a world with plugins in these scopes, and gives the chain of its one route. */
function chainWith(scopes: readonly Scope[], hasService: boolean): Chain {
  const route = { id: 'route', protocols: ['http'], paths: ['/'], service: hasService ? { id: 'service' } : null }
  const service = { id: 'service', protocol: 'http', host: '127.0.0.1', port: 1, enabled: true }
  const content: Readonly<Record<string, readonly { readonly id: string }[]>> = {
    routes: [route],
    services: [service],
    plugins: scopes.map(pluginOf),
  }
  const snapshot = takeSnapshot({ revision: 1, get: () => undefined, all: (kind) => content[kind] ?? [] })
  const compiled = compile(tools, snapshot)
  const plan = compiled.plans.find((plan) => plan?.route.id === 'route')
  assert.ok(plan)
  return chainOfPlan(compiled, plan)
}

/** What the plugin's turn is given for a consumer; undefined where it does not take part. */
function holding({ calls: [call] }: Chain, consumer: string | undefined): unknown {
  return call && pick(call, consumer)
}

/** Such as a config with secrets that are not there. */
const broken = new Set<Scope>()
const prepared = ({ scope }: { scope: Scope }): Scope => {
  if (broken.has(scope)) throw new Error('its secrets are not there')
  return scope
}

const subsets = Array.from({ length: 2 ** order.length }, (_, bits) => order.filter((_, at) => bits & (1 << at)))

for (const [whose, consumer, mayHold] of [
  ['the consumer that has configs of its own', 'consumer', () => true],
  ['another consumer', 'stranger', (scope: Scope) => !scope.includes('consumer')],
  ['no consumer', undefined, (scope: Scope) => !scope.includes('consumer')],
] as const) {
  test(`of all ${subsets.length} sets of scopes the most specific holds for ${whose}`, () => {
    for (const scopes of subsets) {
      assert.equal(holding(chainWith(scopes, true), consumer), scopes.find(mayHold), scopes.join(', ') || 'no scope')
    }
  })

  test(`a route without a service knows nothing of services, for ${whose}`, () => {
    const applies = (scope: Scope) => mayHold(scope) && !scope.includes('service')
    for (const scopes of subsets) {
      assert.equal(holding(chainWith(scopes, false), consumer), scopes.find(applies), scopes.join(', ') || 'no scope')
    }
  })
}

test('a config that cannot be prepared refuses exactly the requests that it holds for', () => {
  const kong = { response: { error: (status: number) => ({ status }) } } as unknown as AccessKong
  for (const scopes of subsets) {
    for (const scope of scopes) {
      broken.add(scope)
      const chain = chainWith(scopes, true)
      for (const consumer of ['consumer', undefined]) {
        const holds = scopes.find((scope) => consumer !== undefined || !scope.includes('consumer'))
        const ready = holding(chain, consumer)
        const answer = ready === undefined ? undefined : chain.calls[0]?.plugin.access?.(kong, ready)
        assert.deepEqual(answer, holds === scope ? { status: 500 } : undefined, `${scope} of ${scopes.join(', ')}`)
      }
      broken.clear()
    }
  }
})
