import type { Filters } from '../../config/filters.ts'
import { message, notFound, ok, type Answer } from '../answers.ts'
import { named } from '../crud.ts'
import { entitiesBelow, find, referenceId } from '../entities.ts'
import type { Context, Endpoint, Handler, Method } from '../types.ts'
import { closedEndpoint, collection, entity } from './closed.ts'

const onlyWasm = message(400, 'this endpoint is only available when wasm is enabled')

const chainPaths: readonly (readonly [path: string, methods: readonly Method[]])[] = [
  ['/filter-chains', collection],
  ['/filter-chains/{filter_chains}', entity],
  ['/filter-chains/{filter_chains}/route', entity],
  ['/filter-chains/{filter_chains}/service', entity],
  ['/routes/{routes}/filter-chains', collection],
  ['/routes/{routes}/filter-chains/{filter_chains}', entity],
  ['/services/{services}/filter-chains', collection],
  ['/services/{services}/filter-chains/{filter_chains}', entity],
]

interface FilterUse {
  readonly name: string
  readonly config?: unknown
  readonly enabled: boolean
}

const wanted: Readonly<Record<string, (filter: FilterUse) => boolean>> = {
  all: () => true,
  enabled: ({ enabled }) => enabled,
  disabled: ({ enabled }) => !enabled,
}

/**
 * What is said of WebAssembly filters beside the chains themselves; with `wasm = off`, that there are none.
 * Source: Kong's Admin API, "Filter Chains".
 */
export function filterEndpoints(context: Context): Endpoint[] {
  const { filters } = context
  const schema: Endpoint = {
    path: '/schemas/filters/{name}',
    methods: { GET: ({ params }) => configSchema(filters, params['name'] ?? '') },
  }
  const lists = Object.entries(wanted).map(([which, isWanted]): Endpoint => {
    const GET = filters ? filtersOfRoute(context, isWanted) : () => onlyWasm
    return { path: `/routes/{routes}/filters/${which}`, methods: { GET } }
  })
  const closed = filters ? [] : chainPaths.map(([path, methods]) => closedEndpoint(path, methods, onlyWasm))
  return [schema, ...lists, ...closed]
}

const configSchema = (filters: Filters | undefined, name: string): Answer =>
  filters?.has(name) ? ok(filters.get(name)) : message(404, `Filter '${name}' not found`)

const filtersOfRoute =
  (context: Context, isWanted: (filter: FilterUse) => boolean): Handler =>
  (request) => {
    const routes = context.kinds.get('routes')
    if (!routes) return notFound
    return named(routes, request, (name) => {
      const route = find(context, routes, name)
      if (!route) return notFound
      const service = referenceId(route['service'])
      const filters = [
        ...(service === undefined ? [] : filtersBelow(context, 'service', service)),
        ...filtersBelow(context, 'route', route.id),
      ]
      return ok({ filters: filters.filter(isWanted) })
    })
  }

/** The filters of a service's or route's chain; those of a chain that is not enabled are not either. */
const filtersBelow = (context: Context, from: 'route' | 'service', id: string): FilterUse[] =>
  [...entitiesBelow(context, 'filter_chains', { field: from, id })].flatMap((chain) =>
    (chain['filters'] as readonly FilterUse[]).map(({ name, config, enabled }) => ({
      name,
      ...(config !== undefined && { config }),
      from,
      enabled: enabled && chain['enabled'] === true,
      filter_chain: { id: chain.id, name: chain['name'] },
    })),
  )
