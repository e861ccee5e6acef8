/**
 * The request-termination plugin: answers in place of the upstream.
 * Source: Kong's docs, "Request Termination".
 */
import { allOf } from '../../pdk/body.ts'
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin } from '../../pdk/plugin.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

/** What is said of a status where nothing was configured. */
const messages: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  404: 'Not found',
  405: 'Method not allowed',
  500: 'An unexpected error occurred',
  502: 'Bad Gateway',
  503: 'Service unavailable',
}

export default definePlugin<Config, Config>({
  version: '3.10.0',
  priority: 2,
  prepare: (config) => config,
  access(kong, config) {
    if (config.trigger !== null && !isTriggered(kong, config.trigger)) return undefined
    if (config.echo) return echo(kong, config)
    if (config.body !== null)
      return kong.response.exit(
        config.status_code,
        config.body,
        config.content_type === null ? {} : { 'Content-Type': config.content_type },
      )
    const message = config.message ?? messages[config.status_code]
    return kong.response.exit(config.status_code, message === undefined ? undefined : { message })
  },
})

/** Tells a request what came of it on its way here. A body of more than 1 MiB is left out. */
async function echo(kong: AccessKong, { status_code, message }: Config): Promise<Answer> {
  const { request, router } = kong
  const [raw, fields] = [await request.get_raw_body(), await request.get_body()]
  return kong.response.exit(status_code, {
    message: message ?? messages[status_code],
    request: {
      scheme: request.get_scheme(),
      host: request.get_host(),
      port: request.get_port(),
      method: request.get_method(),
      path: request.get_path(),
      query: allOf(request.get_query()),
      headers: allOf(request.get_headers()),
      uri_captures: request.get_uri_captures(),
      body: fields?.all(),
      raw_body: raw?.toString(),
    },
    matched_route: told(router.get_route()),
    matched_service: told(router.get_service()),
  })
}

/** An entity without what it does not say, as Kong tells it. */
const told = (entity: Entity | undefined) =>
  entity && Object.fromEntries(Object.entries(entity).filter(([, value]) => value !== null))

const isTriggered = ({ request }: AccessKong, name: string): boolean =>
  request.get_header(name) !== undefined || request.get_query_arg(name) !== undefined
