import { notFound, type Answer } from '../answers.ts'
import type { Endpoint, Method } from '../types.ts'

/** The methods of a path of many entities, and of one of a single one. */
export const collection: readonly Method[] = ['GET', 'POST']
export const entity: readonly Method[] = ['GET', 'PUT', 'PATCH', 'DELETE']

/** Paths that Kong has but that lead nowhere. */
const closed: readonly (readonly [path: string, methods: readonly Method[]])[] = [
  // Targets are reached below their upstream only.
  ['/targets', collection],
  ['/targets/{targets}', entity],
  ['/targets/{targets}/upstream', entity],
  // An SNI's certificate holds a private key, which is not reached by a name that everyone knows.
  ['/snis/{snis}/certificate', entity],
]

/** The endpoints of what cannot be reached in this way. */
export const closedEndpoints = (): Endpoint[] =>
  closed.map(([path, methods]) => closedEndpoint(path, methods, notFound))

/** An endpoint that answers every method that it has, and OPTIONS, with the same. */
export const closedEndpoint = (path: string, methods: readonly Method[], answer: Answer): Endpoint => ({
  path,
  methods: Object.fromEntries(methods.map((method) => [method, () => answer])),
  options: answer,
})
