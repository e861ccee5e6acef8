/**
 * `/oauth2/authorize`: your application, which has asked the user, gets the address to send the user back to.
 * Source: Kong's docs, "OAuth 2.0 Authentication"; RFC 6749 4.1.1 and 4.2.1; RFC 7636 4.3.
 */
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { clientOf, invalidClient, invalidRedirectUri, redirectUriOf, redirectUrisOf, requiresPkce } from './clients.ts'
import {
  answer,
  httpsProblem,
  makeToken,
  provisionProblem,
  scopeOf,
  serviceOf,
  unavailable,
  userProblem,
} from './grants.ts'
import { type Parameters, readParameters } from './parameters.ts'
import { problem, type Problem, type Ready } from './ready.ts'
import { withParameters } from './redirect.ts'

const codeSeconds = 300

/** Answers a request for a code or, in the implicit grant, a token. */
export async function authorize(kong: AccessKong, ready: Ready): Promise<Answer> {
  const parameters = await readParameters(kong.request)
  const state = stateOf(parameters)
  const early = httpsProblem(kong, ready) ?? provisionProblem(parameters, ready) ?? userProblem(parameters)
  if (early) return answer(kong, 400, { ...early, ...state })
  const client = clientOf(kong, parameters.text('client_id'))
  const uris = redirectUrisOf(client)
  const uri = redirectUriOf(parameters, uris)
  const isRegistered = uri !== undefined && uris?.includes(uri)
  const challenge = challengeOf(parameters)
  const scope = scopeOf(parameters, ready)
  // Of several mistakes Kong tells the last one that it finds.
  const wrong = lastOf(
    typeProblem(parameters, ready),
    'error' in scope ? scope : undefined,
    uris === undefined ? invalidClient : isRegistered ? undefined : invalidRedirectUri,
    'error' in challenge ? challenge : missingChallenge(ready, client, challenge),
  )
  // Nobody is sent to an address that the client has not registered.
  const target = isRegistered ? uri : uris?.[0]
  if (wrong)
    return target === undefined
      ? answer(kong, 400, { ...wrong, ...state })
      : redirect(kong, 400, target, { ...wrong, ...state }, '?')
  const asked: Asked = {
    client: client as Entity,
    userId: parameters.text('authenticated_userid'),
    scope: (scope as { scope: string | null }).scope,
    challenge: challenge as Challenge,
    uri: uri as string,
    state,
  }
  return parameters.text('response_type') === 'code' ? giveCode(kong, ready, asked) : giveToken(kong, ready, asked)
}

interface Challenge {
  readonly challenge: string | null
}

interface Asked {
  readonly client: Entity
  readonly userId: string | undefined
  readonly scope: string | null
  readonly challenge: Challenge
  readonly uri: string
  readonly state: object
}

/** What the client wants to be told again, in the form in which it was given: one value, or a list. */
export function stateOf(parameters: Parameters): { readonly state?: unknown } {
  const state = parameters.given('state')
  return isPlain(state) || (Array.isArray(state) && state.every(isPlain)) ? { state } : {}
}

const isPlain = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value)

const lastOf = (...problems: readonly (Problem | undefined)[]): Problem | undefined =>
  problems.findLast((one) => one !== undefined)

function typeProblem(parameters: Parameters, { config }: Ready): Problem | undefined {
  const type = parameters.text('response_type')
  const isKnown =
    (type === 'code' && config.enable_authorization_code) || (type === 'token' && config.enable_implicit_grant)
  return isKnown ? undefined : problem('unsupported_response_type', 'Invalid response_type')
}

/** The challenge, in base64url without padding. Only S256 is known; the plain method proves nothing. */
function challengeOf(parameters: Parameters): Challenge | Problem {
  const challenge = parameters.text('code_challenge')
  const method = parameters.text('code_challenge_method')
  if (challenge === undefined)
    return method === undefined
      ? { challenge: null }
      : problem('invalid_request', 'code_challenge is required when code_method is present')
  if (method !== undefined && method !== 'S256' && method !== 's256')
    return problem('invalid_request', 'code_challenge_method is not supported, must be S256')
  if (challenge === '') return problem('invalid_request', 'code_challenge is empty')
  // What is no base64 at all stays as it is: nothing will prove it.
  return { challenge: Buffer.from(challenge, 'base64').toString('base64url') || challenge }
}

function missingChallenge(ready: Ready, client: Entity | undefined, { challenge }: Challenge): Problem | undefined {
  if (client === undefined || challenge !== null || !requiresPkce(ready, client)) return undefined
  return problem('invalid_request', `code_challenge is required for ${String(client['client_type'])} clients`)
}

async function giveCode(kong: AccessKong, ready: Ready, asked: Asked): Promise<Answer> {
  const { client, userId, scope, challenge, uri, state } = asked
  const entity = {
    service: serviceOf(kong, ready),
    credential: { id: client.id },
    authenticated_userid: userId,
    scope,
    challenge: challenge.challenge,
    challenge_method: challenge.challenge === null ? null : 'S256',
    plugin: { id: ready.pluginId },
    ttl: codeSeconds,
  }
  const changed = await kong.entities.write([{ do: 'insert', kind: 'oauth2_authorization_codes', entity }])
  if (!changed.ok) return unavailable(kong, changed, state)
  return redirect(kong, 200, uri, { code: changed.entities[0]?.['code'], ...state }, '?')
}

async function giveToken(
  kong: AccessKong,
  ready: Ready,
  { client, userId, scope, uri, state }: Asked,
): Promise<Answer> {
  const made = await makeToken(kong, ready, { client, userId, scope, renewable: false })
  if (!('token' in made)) return unavailable(kong, made, state)
  return redirect(kong, 200, uri, { ...made.token, ...state }, '#')
}

const redirect = (kong: AccessKong, status: number, uri: string, parameters: object, place: '?' | '#'): Answer =>
  answer(kong, status, { redirect_uri: withParameters(uri, parameters, place) })
