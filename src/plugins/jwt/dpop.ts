/**
 * DPoP: a token that is bound to a key of the client's is good only with a proof of that key, made for this very request.
 * Source: RFC 9449 sections 4.3, 6.1, 7 and 9; RFC 7638.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import type { AccessKong, Answer, Request } from '../../pdk/kong.ts'
import { algorithms, isSignedWith } from './algorithms.ts'
import { quoted, refuserOf } from './answers.ts'
import { claimAt } from './claims.ts'
import { dpopToken } from './locations.ts'
import { proofAlgorithms } from './proof-algorithms.ts'
import { proofNonces, proofUses } from './proof-memory.ts'
import type { Config } from './ready.ts'
import { decodeToken, isObject, type JsonObject, type Token } from './token.ts'

/** What of a token a proof is compared with, worked out once. */
export interface Binding {
  /** The thumbprint of the key that it is bound to; undefined where it is bound to none. */
  readonly jkt: string | undefined
  /** The hash of the token's text. */
  readonly ath: string
}

export interface Dpop {
  bindingOf(claims: JsonObject, text: string): Binding
  /** Gives the answer that refuses a request, or nothing; a promise where a proof is to be used up. `now` is in seconds since 1970. */
  check(kong: AccessKong, binding: Binding, now: number): Answer | undefined | Promise<Answer | undefined>
}

const usualAge = 60
/** How far a client's clock may be ahead, in seconds. */
const mostAhead = 10
const longestProof = 8192
const longestJti = 256
const [leastRsaBits, mostRsaBits] = [2048, 8192]

/** Undefined where the config does not speak of proofs. */
export function dpopOf(config: Config): Dpop | undefined {
  const { dpop: options, leeway = 0 } = config
  if (!options) return undefined
  const { nonce: wantsNonce = false, max_age: mostAge = usualAge } = options
  const allowed = proofAlgorithms(config)
  const origins = options.origins?.map((origin) => new URL(origin).origin)
  const refuse = refuserOf(config, 'DPoP')
  const refusal = (reason: string, error: string, description: string): Answer =>
    refuse(reason, 401, { message: description }, `error="${error}"`, `error_description=${quoted(description)}`)
  const asBearer = refusal('no proof', 'invalid_token', 'The token is bound to a key: send it as DPoP, with a proof')
  const notBound = refusal('unbound', 'invalid_token', 'The token is not bound to a key: send it as Bearer')
  const askNonce = refusal('nonce', 'use_dpop_nonce', 'The proof must hold the nonce that the server gives')
  const replayed = refusal('proof used', 'invalid_dpop_proof', 'The proof was used before')
  const full = refuse('unavailable', 503, { message: 'Whether the proof was used before cannot be told' })
  const bad = new Map(
    faults.map((fault) => [fault, refusal(`proof ${fault}`, 'invalid_dpop_proof', faultTexts[fault])]),
  )

  return {
    bindingOf: (claims, text) => {
      const jkt = claimAt(claims, ['cnf', 'jkt'])
      return { jkt: typeof jkt === 'string' ? jkt : undefined, ath: sha256(text) }
    },
    check(kong, { jkt, ath }, now) {
      const isDpop = sentAsDpop(kong.request, config.header_names ?? [])
      if (jkt === undefined) return isDpop ? notBound : undefined
      if (!isDpop) return asBearer
      const proof = readProof(kong.request, jkt, allowed)
      if (typeof proof === 'string') return bad.get(proof)
      const fault = claimsFault(proof, { request: kong.request, urls: urlsOf(kong, origins), ath })
      if (fault !== undefined) return bad.get(fault)
      const { iat, jti, nonce } = proof.claims
      if (wantsNonce && !proofNonces.isGood(nonce, now)) return withNonce(askNonce, now)
      const isTimely = Number(iat) >= now - mostAge - leeway && Number(iat) <= now + mostAhead + leeway
      if (!isTimely) return bad.get('time')
      if (wantsNonce && nonce !== proofNonces.at(now)) kong.response.set_header(nonceHeader, proofNonces.at(now))
      const until = Number(iat) + mostAge + leeway + 1
      return proofUses.use(sha256(JSON.stringify([jkt, jti])), until).then((use) => {
        if (use === 'first') return undefined
        return use === 'again' ? replayed : full
      })
    },
  }
}

const nonceHeader = 'DPoP-Nonce'

const withNonce = (answer: Answer, now: number): Answer => ({
  ...answer,
  headers: [...answer.headers, [nonceHeader, proofNonces.at(now)]],
})

const faultTexts = {
  count: 'There must be one DPoP header with a proof',
  form: 'The proof is no token of the type dpop+jwt, with an algorithm that is taken and a public key',
  key: 'The proof is of another key than the token',
  signature: 'The signature of the proof is wrong',
  method: 'The proof is for another method',
  address: 'The proof is for another address',
  token: 'The proof is for another token',
  name: 'The proof has no jti, or too long a one',
  time: 'The proof was made too long ago, or is yet to be made',
} as const
type Fault = keyof typeof faultTexts
const faults = Object.keys(faultTexts) as Fault[]

/** Whether the token came behind the word DPoP, and not Bearer. */
const sentAsDpop = (request: Request, headers: readonly string[]): boolean =>
  headers.some((name) => dpopToken(request.get_header(name) ?? '') !== undefined)

/** The key is compared before any cryptography: only who has a good token of that key makes us verify anything. */
function readProof(request: Request, jkt: string, allowed: readonly string[]): Token | Fault {
  const [text, ...more] = request.get_header_values('dpop')
  if (text === undefined || more.length > 0) return 'count'
  const proof = text.length > longestProof ? undefined : decodeToken(text)
  if (proof === undefined || typeof proof === 'string') return 'form'
  const { typ, jwk } = proof.header
  const algorithm = allowed.includes(proof.alg) ? algorithms.get(proof.alg) : undefined
  if (typ !== 'dpop+jwt' || !algorithm || algorithm.material !== 'public key' || !isObject(jwk)) return 'form'
  const members = thumbprintMembers[String(jwk['kty'])]
  if (!members || privateMembers.some((name) => Object.hasOwn(jwk, name))) return 'form'
  if (thumbprint(jwk, members) !== jkt) return 'key'
  const key = keyOf(jwk)
  if (!key || !algorithm.suits(key)) return 'form'
  return isSignedWith(algorithm, proof, key) ? proof : 'signature'
}

/** RFC 7638 3.2, RFC 8037 2: the members that make a key, in the order of their names. */
const thumbprintMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** The thumbprint of a public key, in base64url. */
export const thumbprint = (jwk: JsonObject, members = thumbprintMembers[String(jwk['kty'])] ?? []): string =>
  sha256(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))))

function keyOf(jwk: JsonObject): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const bits = key.asymmetricKeyDetails?.modulusLength ?? leastRsaBits
    return bits >= leastRsaBits && bits <= mostRsaBits ? key : undefined
  } catch {
    return undefined
  }
}

interface Meant {
  readonly request: Request
  readonly urls: readonly string[]
  readonly ath: string
}

function claimsFault({ claims }: Token, { request, urls, ath }: Meant): Fault | undefined {
  const { htm, htu, jti, iat } = claims
  if (htm !== request.get_method()) return 'method'
  const url = typeof htu === 'string' ? plainUrl(htu) : undefined
  if (url === undefined || !urls.includes(url)) return 'address'
  if (claims['ath'] !== ath) return 'token'
  if (typeof jti !== 'string' || jti === '' || jti.length > longestJti) return 'name'
  return typeof iat === 'number' && Number.isFinite(iat) ? undefined : 'time'
}

/** RFC 9449 4.3: compared without query and fragment, and normalised. */
function plainUrl(text: string): string | undefined {
  const url = URL.parse(text)
  return url ? `${url.origin}${url.pathname}` : undefined
}

/** The addresses that the request may be known by to its client. A proxy in front says which, where it is trusted. */
function urlsOf({ request, client, ip }: AccessKong, origins: readonly string[] | undefined): string[] {
  const path = request.get_raw_path()
  const forwarded = (name: string) => (ip.is_trusted(client.get_ip()) ? request.get_header(name) : undefined)
  const scheme = forwarded('x-forwarded-proto') ?? request.get_scheme()
  const host = forwarded('x-forwarded-host') ?? request.get_header('host') ?? ''
  return (origins ?? [`${scheme}://${host}`]).flatMap((origin) => plainUrl(origin + path) ?? [])
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')
