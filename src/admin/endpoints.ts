import type { UpstreamHealthSource } from '../observe/upstream-health.ts'
import { ok, type Answer } from './answers.ts'
import { crudEndpoints } from './crud.ts'
import { certificateEndpoints } from './routes/certificates.ts'
import { openApiDocument } from './openapi.ts'
import { closedEndpoints } from './routes/closed.ts'
import { pluginEndpoints } from './plugin-api.ts'
import { configEndpoints } from './routes/config.ts'
import { consumerEndpoints } from './routes/consumers.ts'
import { filterEndpoints } from './routes/filters.ts'
import { nodeEndpoints, type NodeOptions } from './routes/node.ts'
import { schemaEndpoints } from './routes/schemas.ts'
import { tagEndpoints } from './routes/tags.ts'
import { upstreamEndpoints } from './routes/upstreams.ts'
import type { Context, Endpoint } from './types.ts'

export interface EndpointOptions extends NodeOptions {
  readonly health: UpstreamHealthSource
}

/** Every endpoint of the Admin API. Those written by hand stand before those that follow from schemas. */
export function allEndpoints(context: Context, options: EndpointOptions): Endpoint[] {
  const byHand = [
    ...nodeEndpoints(context, options),
    ...schemaEndpoints(context),
    ...tagEndpoints(context),
    ...certificateEndpoints(context),
    ...consumerEndpoints(context),
    ...upstreamEndpoints(context, options.node, options.health),
    ...configEndpoints(context),
    ...closedEndpoints(),
    ...filterEndpoints(context),
    ...pluginEndpoints(context),
  ]
  const taken = new Set(byHand.map(({ path }) => path))
  const generated = crudEndpoints(context).filter(({ path }) => !taken.has(path))
  const endpoints = [...byHand, ...generated]
  // What is ours is told of in `/openapi.json`.
  const paths = [...endpoints.filter(({ own }) => !own).map(({ path }) => path), '/endpoints'].sort(bySegment)
  const described = [...endpoints, { path: '/endpoints', methods: { GET: () => ok({ data: paths }) } }]
  return [...described, openApiEndpoint(context, described, options.node.version)]
}

/** A path comes before those below it, and those before paths whose last segment is longer: `/a`, `/a/z`, `/ab`. */
function bySegment(one: string, other: string): number {
  const [a, b] = [one.replaceAll('/', '\0'), other.replaceAll('/', '\0')]
  return a < b ? -1 : 1
}

/** The API's description of itself, made when it is first asked for; it is ours, and so not among Kong's paths. */
function openApiEndpoint(context: Context, described: readonly Endpoint[], version: string): Endpoint {
  let document: Answer | undefined
  const describe = (): Answer => (document ??= ok(openApiDocument(context, described, version)))
  return { path: '/openapi.json', methods: { GET: describe } }
}
