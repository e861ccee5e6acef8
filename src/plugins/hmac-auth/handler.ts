/**
 * The hmac-auth plugin: a request is let through when a Consumer's secret has signed it.
 * Source: Kong's docs, "HMAC Auth".
 */
import { createHmac, hash } from 'node:crypto'
import { admit, authenticate } from '../../pdk/authentication.ts'
import { decodeBase64 } from '../../pdk/base64.ts'
import type { Entity } from '../../pdk/entities.ts'
import { parseHttpTime } from '../../pdk/http-time.ts'
import type { AccessKong, Answer, Request } from '../../pdk/kong.ts'
import { definePlugin, type Outcome, type Plugin } from '../../pdk/plugin.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { quoted, utf8Of } from '../../pdk/wire-text.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'
import { parseSignature, signedText, type Signature } from './signature.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly hides: boolean
  readonly skew: number
  readonly anonymous: string | null
  readonly checksBody: boolean
  readonly enforced: readonly string[]
  readonly algorithms: ReadonlySet<string>
  readonly challenge: Readonly<Record<string, string>>
}

const hashes: Readonly<Record<string, string>> = {
  'hmac-sha1': 'sha1',
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
}

const badDate = 'HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication'
const unverifiable = 'HMAC signature cannot be verified'
const different = 'HMAC signature does not match'

/** The plugin with a clock of one's own, in seconds since 1970. */
export const createHmacAuth = (now = () => Math.floor(Date.now() / 1000)): Plugin<Config, Ready> =>
  definePlugin<Config, Ready>({
    version: '3.10.0',
    priority: 1030,
    prepare: (config) => ({
      hides: config.hide_credentials,
      skew: config.clock_skew ?? 300,
      anonymous: config.anonymous,
      checksBody: config.validate_request_body,
      enforced: config.enforce_headers ?? [],
      algorithms: new Set(config.algorithms),
      challenge: { 'WWW-Authenticate': config.realm === null ? 'hmac' : `hmac realm=${quoted(config.realm)}` },
    }),
    access: (kong, ready) => authenticate(kong, ready, (kong, ready) => attempt(kong, ready, now())),
  })

export default createHmacAuth()

function attempt(kong: AccessKong, ready: Ready, now: number): Outcome {
  const { request } = kong
  if (['authorization', 'proxy-authorization'].every((name) => request.get_header(name) === undefined))
    return refuse(kong, ready, undefined)
  if (!isTimely(request, 'x-date', ready.skew, now) && !isTimely(request, 'date', ready.skew, now))
    return refuse(kong, ready, badDate)
  const signature = signatureOf(kong, ready)
  if (!signature || !satisfies(signature, ready)) return refuse(kong, ready, unverifiable)
  const credential = kong.entities.by('hmacauth_credentials', 'username', utf8Of(signature.username))?.entity
  if (!credential) return refuse(kong, ready, unverifiable)
  if (!isSigned(request, signature, credential)) return refuse(kong, ready, different)
  return ready.checksBody ? admitWithBody(kong, ready, credential) : letIn(kong, ready, credential)
}

function isTimely(request: Request, header: string, skew: number, now: number): boolean {
  const date = request.get_header(header)
  const time = date === undefined ? undefined : parseHttpTime(date)
  return time !== undefined && Math.abs(now - time) <= skew
}

/** The signature in `Proxy-Authorization`, or else that in `Authorization`; taken out of the request where it is to be hidden. */
function signatureOf({ request, service }: AccessKong, { hides }: Ready): Signature | undefined {
  const proxied = parseSignature(request.get_header('proxy-authorization') ?? '')
  const signature = proxied ?? parseSignature(request.get_header('authorization') ?? '')
  if (hides) service.request.clear_header(proxied ? 'proxy-authorization' : 'authorization')
  return signature
}

const satisfies = ({ headers, algorithm }: Signature, { enforced, algorithms }: Ready): boolean =>
  enforced.every((name) => headers.includes(name)) && algorithms.has(algorithm)

/** An empty secret is no secret: everyone knows it. */
function isSigned(request: Request, { algorithm, headers, signature }: Signature, { secret }: Entity): boolean {
  const given = decodeBase64(signature)
  if (given === undefined || typeof secret !== 'string' || secret === '') return false
  const text = Buffer.from(signedText(request, headers), 'latin1')
  return sameSecret(
    createHmac(hashes[algorithm] as string, secret)
      .update(text)
      .digest(),
    given,
  )
}

async function admitWithBody(kong: AccessKong, ready: Ready, credential: Entity): Promise<Answer | undefined> {
  const body = await kong.request.get_raw_body()
  return body && isDigested(kong.request, body) ? letIn(kong, ready, credential) : refuse(kong, ready, different)
}

/** RFC 3230: without a digest there may be no body. */
function isDigested(request: Request, body: Buffer): boolean {
  const digest = request.get_header('digest')
  return digest === undefined ? body.length === 0 : sameSecret(digest, `SHA-256=${hash('sha256', body, 'base64')}`)
}

const letIn = (kong: AccessKong, ready: Ready, credential: Entity): Answer | undefined =>
  admit(kong, credential, credential['username']) ? undefined : refuse(kong, ready, unverifiable)

const refuse = (kong: AccessKong, { challenge }: Ready, message: string | undefined): Answer =>
  kong.response.error(401, message, challenge)
