/**
 * `/oauth2/token`: a client gets an access token.
 * Source: Kong's docs, "OAuth 2.0 Authentication"; RFC 6749 4.1.3, 4.3.2, 4.4.2, 5 and 6; RFC 7636 4.5.
 */
import { hash } from 'node:crypto'
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { stateOf } from './authorize.ts'
import {
  clientOf,
  credentialsOf,
  invalidClient,
  invalidRedirectUri,
  proofProblem,
  redirectUriOf,
  redirectUrisOf,
  requiresPkce,
  type Credentials,
} from './clients.ts'
import {
  answer,
  httpsProblem,
  isFor,
  makeToken,
  provisionProblem,
  referenceOf,
  scopeOf,
  unavailable,
  userProblem,
  type Grant,
} from './grants.ts'
import { readParameters, type Parameters } from './parameters.ts'
import { problem, type Problem, type Ready } from './ready.ts'

/** A request for a token; `client` is there, and proven, where a grant is looked at. */
interface Asked {
  readonly kong: AccessKong
  readonly ready: Ready
  readonly parameters: Parameters
  readonly client: Entity | undefined
}

type Granted = Grant | Problem | Promise<Grant | Problem>

/** What each `grant_type` asks for, and by which setting it is allowed. */
const grants: Readonly<
  Record<string, { readonly setting?: keyof Ready['config']; readonly grant: (asked: Asked) => Granted }>
> = {
  authorization_code: { grant: byCode },
  client_credentials: { setting: 'enable_client_credentials', grant: byClient },
  password: { setting: 'enable_password_grant', grant: byPassword },
  refresh_token: { grant: byRefreshToken },
}

/** Answers a request for a token. */
export async function issueToken(kong: AccessKong, ready: Ready): Promise<Answer> {
  const parameters = await readParameters(kong.request)
  const state = stateOf(parameters)
  const early = httpsProblem(kong, ready)
  if (early) return answer(kong, 400, { ...early, ...state })
  const type = parameters.text('grant_type') ?? ''
  const { setting, grant } = (Object.hasOwn(grants, type) ? grants[type] : undefined) ?? {}
  const isKnown = grant !== undefined && (setting === undefined || ready.config[setting] === true)
  const credentials = credentialsOf(kong, ready, parameters)
  const client = clientOf(kong, credentials.id)
  // Of several mistakes Kong tells the last one that it finds.
  const wrong =
    (client && (await proofProblem(client, credentials))) ??
    (type === 'client_credentials' ? undefined : redirectProblem(parameters, client)) ??
    (isKnown ? undefined : problem('unsupported_grant_type', 'Invalid grant_type'))
  if (wrong || !grant) return refuse(kong, wrong as Problem, credentials, state)
  const granted = await grant({ kong, ready, parameters, client })
  if ('error' in granted) return answer(kong, 400, { ...granted, ...state })
  const made = await makeToken(kong, ready, granted)
  if ('token' in made) return answer(kong, 200, { ...made.token, ...state })
  return made.reason === 'absent' ? answer(kong, 400, { ...usedUp(type), ...state }) : unavailable(kong, made, state)
}

/** A code or a refresh token that another request was first with. */
const usedUp = (type: string): Problem =>
  problem('invalid_request', type === 'refresh_token' ? 'Invalid refresh_token' : 'Invalid code')

/** RFC 6749 5.2: a client that tried to prove itself by a header is told so by one. */
function refuse(kong: AccessKong, wrong: Problem, { fromHeader }: Credentials, state: object): Answer {
  return wrong === invalidClient && fromHeader
    ? answer(kong, 401, { ...wrong, ...state }, { 'WWW-Authenticate': 'Basic realm="OAuth2.0"' })
    : answer(kong, 400, { ...wrong, ...state })
}

function redirectProblem(parameters: Parameters, client: Entity | undefined): Problem | undefined {
  const uris = redirectUrisOf(client)
  if (uris === undefined) return invalidClient
  const uri = redirectUriOf(parameters, uris)
  return uri !== undefined && uris.includes(uri) ? undefined : invalidRedirectUri
}

const invalidCode = problem('invalid_request', 'Invalid code')

function byCode({ kong, ready, parameters, client }: Asked): Grant | Problem {
  const text = parameters.text('code')
  const code = text === undefined ? undefined : kong.entities.by('oauth2_authorization_codes', 'code', text)?.entity
  if (!client || !code || !isFor(kong, ready, code) || referenceOf(code, 'credential') !== client.id) return invalidCode
  const unproven =
    code['challenge_method'] !== null || requiresPkce(ready, client) ? verifierProblem(parameters, code) : undefined
  if (unproven) return unproven
  const giver = referenceOf(code, 'plugin')
  if (ready.config.global_credentials && giver !== undefined && giver !== ready.pluginId) return invalidCode
  const uses = { kind: 'oauth2_authorization_codes', entity: code }
  return { client, userId: code['authenticated_userid'], scope: code['scope'], renewable: true, uses }
}

/** RFC 7636 4.6. */
function verifierProblem(parameters: Parameters, { challenge }: Entity): Problem | undefined {
  const verifier = parameters.text('code_verifier')
  if (verifier === undefined)
    return problem(
      'invalid_request',
      parameters.has('code_verifier')
        ? 'code_verifier is not a string'
        : 'code_verifier is required for PKCE authorization requests',
    )
  if (verifier.length < 43 || verifier.length > 128)
    return problem('invalid_request', 'code_verifier must be between 43 and 128 characters')
  const made = hash('sha256', verifier, 'base64url')
  return typeof challenge === 'string' && sameSecret(made, challenge)
    ? undefined
    : problem('invalid_grant', 'Invalid code')
}

function byClient({ ready, parameters, client }: Asked): Grant | Problem {
  // Only your application, which has the provision key, may ask in the name of a user.
  const wrong = parameters.has('authenticated_userid') ? provisionProblem(parameters, ready) : undefined
  if (wrong) return wrong
  return client ? scoped(client, parameters, ready, false) : invalidClient
}

function byPassword({ ready, parameters, client }: Asked): Grant | Problem {
  const wrong = provisionProblem(parameters, ready) ?? userProblem(parameters)
  return wrong ?? (client ? scoped(client, parameters, ready, true) : invalidClient)
}

function scoped(client: Entity, parameters: Parameters, ready: Ready, renewable: boolean): Grant | Problem {
  const scope = scopeOf(parameters, ready)
  if ('error' in scope) return scope
  return { client, userId: parameters.text('authenticated_userid'), scope: scope.scope, renewable }
}

function byRefreshToken({ kong, ready, parameters, client }: Asked): Grant | Problem {
  const text = parameters.text('refresh_token')
  const token = text === undefined ? undefined : kong.entities.by('oauth2_tokens', 'refresh_token', text)?.entity
  if (!token || !isFor(kong, ready, token)) return problem('invalid_request', 'Invalid refresh_token')
  if (!client || referenceOf(token, 'credential') !== client.id) return invalidClient
  const scopes = typeof token['scope'] === 'string' ? token['scope'].split(' ') : []
  if (!scopes.every((name) => ready.config.scopes?.includes(name))) return problem('invalid_scope', 'Scope mismatch')
  const uses = { kind: 'oauth2_tokens', entity: token }
  return { client, userId: token['authenticated_userid'], scope: token['scope'], renewable: true, uses }
}
