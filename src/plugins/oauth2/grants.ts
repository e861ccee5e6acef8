/** What both endpoints share: whether a request came safely, scopes, and the making of tokens. */
import type { Change, Changed, Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { randomText, sameSecret } from '../../pdk/secrets.ts'
import type { Parameters } from './parameters.ts'
import { problem, type Problem, type Ready } from './ready.ts'

/** RFC 6749 3.1.2.1 and 3.2: nothing secret goes over a line that others can read. */
export function httpsProblem({ request, client, ip }: AccessKong, { config }: Ready): Problem | undefined {
  const refusal = problem('access_denied', 'You must use HTTPS')
  if (request.get_scheme() === 'https') return undefined
  if (!config.accept_http_if_already_terminated || !ip.is_trusted(client.get_ip())) return refusal
  const scheme = request.get_header_values('x-forwarded-proto').join(',')
  if (scheme.includes(',')) return problem('access_denied', 'Only one X-Forwarded-Proto header allowed')
  return scheme.toLowerCase() === 'https' ? undefined : refusal
}

export function provisionProblem(parameters: Parameters, { config }: Ready): Problem | undefined {
  return sameSecret(config.provision_key, parameters.text('provision_key') ?? '')
    ? undefined
    : problem('invalid_provision_key', 'Invalid provision_key')
}

export function userProblem(parameters: Parameters): Problem | undefined {
  return (parameters.text('authenticated_userid') ?? '').trim() === ''
    ? problem('invalid_authenticated_userid', 'Missing authenticated_userid parameter')
    : undefined
}

/** The scopes that are given, with spaces between, null for none; or what is wrong with those that were asked for. */
export function scopeOf(parameters: Parameters, { config }: Ready): { readonly scope: string | null } | Problem {
  const asked = parameters.text('scope')
  if (asked === undefined) {
    if (parameters.has('scope') && config.scopes) return problem('invalid_scope', 'scope must be a string')
    return config.mandatory_scope ? problem('invalid_scope', 'You must specify a scope') : { scope: null }
  }
  if (!config.scopes) return { scope: null }
  const names = asked.split(/\s+/).filter((name) => name !== '')
  const unknown = names.find((name) => !config.scopes?.includes(name))
  if (unknown !== undefined) return problem('invalid_scope', `"${unknown}" is an invalid scope`)
  return { scope: names.length === 0 ? null : names.join(' ') }
}

/** The service that codes and tokens are for; null where they are for all. */
export function serviceOf({ router }: AccessKong, { config }: Ready): { readonly id: string } | null {
  if (config.global_credentials) return null
  const service = router.get_service()
  // A route without a service serves nothing, so that no token can be of use there.
  return { id: service?.id ?? '' }
}

/** Whether something that was given for a service may be used on this route. */
export function isFor(kong: AccessKong, ready: Ready, entity: Entity): boolean {
  const service = serviceOf(kong, ready)
  return service === null || referenceOf(entity, 'service') === service.id
}

export const referenceOf = (entity: Entity, field: string): string | undefined =>
  (entity[field] as { readonly id: string } | null | undefined)?.id

/** What a token is made for. */
export interface Grant {
  readonly client: Entity
  readonly userId: unknown
  readonly scope: unknown
  /** Whether it can be renewed. */
  readonly renewable: boolean
  /** What it takes the place of: a code, or the token before. It is used up in the same moment, so that it is used once. */
  readonly uses?: { readonly kind: string; readonly entity: Entity }
}

/** A token as a client is told it, or why there is none. */
export async function makeToken(
  kong: AccessKong,
  ready: Ready,
  grant: Grant,
): Promise<{ readonly token: Readonly<Record<string, unknown>> } | Extract<Changed, { ok: false }>> {
  const { config } = ready
  const reused = config.reuse_refresh_token && grant.uses?.kind === 'oauth2_tokens' ? grant.uses.entity : undefined
  const changed = await kong.entities.write(reused ? [renewal(ready, reused)] : insertion(kong, ready, grant))
  if (!changed.ok) return changed
  const token = changed.entities.at(-1) as Entity
  return {
    token: {
      access_token: token['access_token'],
      token_type: 'bearer',
      ...(config.token_expiration > 0 && { expires_in: token['expires_in'] }),
      ...(grant.renewable && config.token_expiration > 0 && { refresh_token: token['refresh_token'] }),
    },
  }
}

function renewal(ready: Ready, { id }: Entity): Change {
  const changes = { access_token: randomText(), created_at: Math.floor(ready.now()), ...lifetime(ready) }
  return { do: 'update', kind: 'oauth2_tokens', id, changes }
}

function insertion(kong: AccessKong, ready: Ready, { client, userId, scope, renewable, uses }: Grant): Change[] {
  const entity = {
    service: serviceOf(kong, ready),
    credential: { id: client.id },
    authenticated_userid: userId ?? null,
    scope: scope ?? null,
    refresh_token: renewable && ready.config.token_expiration > 0 ? randomText() : null,
    ...lifetime(ready),
  }
  const used: Change[] = uses ? [{ do: 'delete', kind: uses.kind, id: uses.entity.id }] : []
  return [...used, { do: 'insert', kind: 'oauth2_tokens', entity }]
}

/** A token is good for `expires_in`, and kept as long as it can be renewed. */
function lifetime({ config }: Ready): Readonly<Record<string, unknown>> {
  const { token_expiration, refresh_token_ttl } = config
  const ttl = token_expiration > 0 && refresh_token_ttl > 0 ? Math.floor(refresh_token_ttl) : 0
  return { expires_in: Math.floor(token_expiration), ttl }
}

/** RFC 6749 5.1: what is answered here is for nobody's cache. */
export const answer = (
  kong: AccessKong,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Answer => kong.response.exit(status, body, { 'Cache-Control': 'no-store', Pragma: 'no-cache', ...headers })

/** Without a database, or where it cannot be written, nothing can be given. */
export function unavailable(kong: AccessKong, { message }: Extract<Changed, { ok: false }>, state: object): Answer {
  kong.log.err(`oauth2: ${message}`)
  return answer(kong, 503, { ...problem('temporarily_unavailable', message), ...state })
}
