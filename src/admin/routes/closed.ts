import { message, notFound, type Answer } from '../answers.ts'
import type { Endpoint, Method } from '../types.ts'

const onlyWasm = message(400, 'this endpoint is only available when wasm is enabled')

const collection: readonly Method[] = ['GET', 'POST']
const entity: readonly Method[] = ['GET', 'PUT', 'PATCH', 'DELETE']

/** Paths that Kong has but that lead nowhere, each with what it says to every method that it has. */
const closed: readonly (readonly [path: string, methods: readonly Method[], answer: Answer])[] = [
  // Targets are reached below their upstream only.
  ['/targets', collection, notFound],
  ['/targets/{targets}', entity, notFound],
  ['/targets/{targets}/upstream', entity, notFound],
  // An SNI's certificate holds a private key, which is not reached by a name that everyone knows.
  ['/snis/{snis}/certificate', entity, notFound],
  ['/filter-chains', collection, onlyWasm],
  ['/filter-chains/{filter_chains}', entity, onlyWasm],
  ['/filter-chains/{filter_chains}/route', entity, onlyWasm],
  ['/filter-chains/{filter_chains}/service', entity, onlyWasm],
  ['/routes/{routes}/filter-chains', collection, onlyWasm],
  ['/routes/{routes}/filter-chains/{filter_chains}', entity, onlyWasm],
  ['/services/{services}/filter-chains', collection, onlyWasm],
  ['/services/{services}/filter-chains/{filter_chains}', entity, onlyWasm],
]

/** The endpoints of what cannot be reached, or not in this way. */
export const closedEndpoints = (): Endpoint[] =>
  closed.map(([path, methods, answer]) => ({
    path,
    methods: Object.fromEntries(methods.map((method) => [method, () => answer])),
    options: answer,
  }))

/** Paths of features that are not in use; other than the closed ones they tell what methods they have. */
export const unusedEndpoints = (): Endpoint[] =>
  ['enabled', 'disabled', 'all'].map((which) => ({
    path: `/routes/{routes}/filters/${which}`,
    methods: { GET: () => onlyWasm },
  }))
