/**
 * The oauth2 plugin: an OAuth 2.0 server that gives tokens to applications of Consumers, and lets requests with a token through.
 * Source: Kong's docs, "OAuth 2.0 Authentication"; RFC 6749; RFC 6750; RFC 7636.
 */
import { admit, authenticate } from '../../pdk/authentication.ts'
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Outcome, type Plugin } from '../../pdk/plugin.ts'
import { quoted, utf8Of } from '../../pdk/wire-text.ts'
import { authorize } from './authorize.ts'
import { referenceOf } from './grants.ts'
import { readParameters } from './parameters.ts'
import { problem, type Config, type Problem, type Ready } from './ready.ts'
import { issueToken } from './token.ts'

/** The plugin with a clock of one's own, in seconds since 1970. */
export const createOauth2 = (now = () => Date.now() / 1000): Plugin<Config, Ready> =>
  definePlugin<Config, Ready>({
    version: '3.10.0',
    priority: 1400,
    prepare: (config, { id }) => ({
      config,
      pluginId: id,
      anonymous: config.anonymous,
      tokenHeader: (config.auth_header_name ?? 'authorization').toLowerCase(),
      now,
    }),
    access(kong, ready) {
      const endpoint = endpointOf(kong.request.get_path())
      return endpoint ? serve(kong, ready, endpoint) : authenticate(kong, ready, attempt)
    },
  })

export default createOauth2()

interface Endpoint {
  readonly ending: string
  readonly name: string
  readonly answer: (kong: AccessKong, ready: Ready) => Promise<Answer>
}

/** On every route of the plugin. */
const endpoints: readonly Endpoint[] = [
  { ending: '/oauth2/token', name: 'token', answer: issueToken },
  { ending: '/oauth2/authorize', name: 'authorization', answer: authorize },
]

function endpointOf(path: string): Endpoint | undefined {
  const end = path.endsWith('/') ? path.length - 1 : path.length
  return endpoints.find(({ ending }) => path.endsWith(ending, end))
}

function serve(kong: AccessKong, ready: Ready, { name, answer }: Endpoint): Answer | Promise<Answer> {
  const method = kong.request.get_method()
  if (method === 'POST') return answer(kong, ready)
  const wrong = problem('invalid_method', `The HTTP method ${method} is invalid for the ${name} endpoint`)
  return refuse(kong, ready, wrong, wrong, 405)
}

const missing = problem('invalid_request', 'The access token is missing')
const invalid = problem('invalid_token', 'The access token is invalid or has expired')
const global = problem(
  'invalid_token',
  "The access token is global, but the current plugin is configured without 'global_credentials'",
)

/** Only where the header is not there may the query or the body hold a token (RFC 6750 2). */
function attempt(kong: AccessKong, ready: Ready): Outcome {
  const header = kong.request.get_header(ready.tokenHeader)
  return header === undefined ? attemptWithParameters(kong, ready) : judge(kong, ready, tokenIn(kong, ready, header))
}

function tokenIn({ service }: AccessKong, { config, tokenHeader }: Ready, header: string): string {
  const [scheme = '', token, more] = header.split(/[ \t]/).filter((part) => part !== '')
  const isToken = token !== undefined && more === undefined && /^(?:bearer|token)$/i.test(scheme)
  if (config.hide_credentials && isToken) service.request.clear_alike(tokenHeader)
  return utf8Of(isToken ? token : header)
}

async function attemptWithParameters(kong: AccessKong, ready: Ready): Promise<Answer | undefined> {
  const token = (await readParameters(kong.request)).text('access_token')
  if (ready.config.hide_credentials && token !== undefined) await hide(kong)
  return judge(kong, ready, token)
}

async function hide({ request, service }: AccessKong): Promise<void> {
  service.request.clear_query_arg('access_token')
  const isForm = request.get_header('content-type')?.includes('application/x-www-form-urlencoded')
  const body = isForm && request.get_method() !== 'GET' ? await request.get_body() : undefined
  if (body?.get('access_token') !== undefined) service.request.set_raw_body(body.without('access_token'))
}

function judge(kong: AccessKong, ready: Ready, text: string | undefined): Answer | undefined {
  if (text === undefined || text === '') return refuse(kong, ready, missing, null)
  const token = text.isWellFormed() ? kong.entities.by('oauth2_tokens', 'access_token', text)?.entity : undefined
  if (!token) return refuse(kong, ready, invalid)
  const service = referenceOf(token, 'service')
  if (service === undefined && !ready.config.global_credentials) return refuse(kong, ready, global, invalid)
  if (service !== undefined && service !== kong.router.get_service()?.id) return refuse(kong, ready, invalid)
  if (isExpired(token, ready.now()) || !letIn(kong, token)) return refuse(kong, ready, invalid)
  return undefined
}

/** The creation counts from its whole second; 0 is for ever. */
function isExpired({ expires_in, created_at }: Entity, now: number): boolean {
  const seconds = Number(expires_in)
  return seconds > 0 && now - Number(created_at) > seconds
}

function letIn(kong: AccessKong, token: Entity): boolean {
  const credential = kong.entities.get('oauth2_credentials', referenceOf(token, 'credential') ?? '')?.entity
  if (!credential) return false
  const headers = {
    'X-Authenticated-Scope': token['scope'],
    'X-Authenticated-UserId': token['authenticated_userid'],
  }
  return admit(kong, credential, credential['client_id'], { entity: token, headers })
}

/** RFC 6750 3: a request without a token is challenged without an error. */
function refuse(
  kong: AccessKong,
  { config: { realm } }: Ready,
  told: Problem,
  challenged: Problem | null = told,
  status = 401,
): Answer {
  const given: Readonly<Record<string, string | null>> = { realm, ...challenged }
  const parts = Object.entries(given).flatMap(([name, value]) => (value ? [`${name}=${quoted(value)}`] : []))
  return kong.response.exit(status, told, {
    'WWW-Authenticate': parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`,
  })
}
