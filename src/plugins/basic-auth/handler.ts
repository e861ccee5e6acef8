/**
 * The basic-auth plugin: a request is let through when it carries a Consumer's user name and password.
 * Source: Kong's docs, "Basic Auth"; RFC 7617.
 */
import { admit, authenticate } from '../../pdk/authentication.ts'
import { decodeBase64 } from '../../pdk/base64.ts'
import type { Entity, Loaded } from '../../pdk/entities.ts'
import type { Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Outcome } from '../../pdk/plugin.ts'
import { createRecall } from '../../pdk/recall.ts'
import { redisAt } from '../../pdk/redis.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { quoted } from '../../pdk/wire-text.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { redisServer } from '../../schema/redis.ts'
import { passwordHash } from './credentials.ts'
import { type Failures, failuresAt, nodeFailures } from './failures.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly hides: boolean
  readonly anonymous: string | null
  readonly challenge: Readonly<Record<string, string>>
  /** Counts wrong passwords; undefined where nobody asks for that. */
  readonly failures: Failures | undefined
}

export default definePlugin<Config, Ready>({
  version: '3.10.0',
  priority: 1100,
  prepare: (config) => ({
    hides: config.hide_credentials,
    anonymous: config.anonymous,
    challenge: { 'WWW-Authenticate': `Basic realm=${quoted(config.realm)}` },
    failures: failuresOf(config.brute_force_protection),
  }),
  access: (kong, ready) => authenticate(kong, ready, attempt),
})

function failuresOf(protection: Config['brute_force_protection']): Failures | undefined {
  const ofNode = protection && protection.strategy !== 'off' ? nodeFailures() : undefined
  return ofNode && protection?.strategy === 'redis'
    ? failuresAt(redisAt(redisServer(protection.redis)), ofNode)
    : ofNode
}

/** The headers that may hold credentials; the first whose user exists decides. */
const headers = ['proxy-authorization', 'authorization'] as const

/** Who was let in by which header: hashing a password costs more than the rest of a request. */
const verified = createRecall<Identity>(20_000)

/** What a header with a user name comes to. */
interface Claim {
  readonly username: string
  readonly header: string
  /** Who it was before. */
  readonly known?: Identity
  /** Undefined where nobody has the name. */
  readonly credential?: Loaded | undefined
  readonly isRight: boolean
}

function attempt(kong: AccessKong, ready: Ready): Outcome {
  let claim: Claim | undefined
  for (const header of headers) {
    const text = kong.request.get_header(header)
    if (ready.hides) kong.service.request.clear_header(header)
    if (text === undefined) continue
    const found = claimIn(kong, text)
    claim = found ?? claim
    if (found?.known || found?.credential) break
  }
  if (!claim) return refuse(kong, ready)
  const left = ready.failures?.attempt(
    { username: claim.username, isKnown: claim.known !== undefined || claim.credential !== undefined },
    claim.isRight,
    kong.log,
  )
  return left instanceof Promise
    ? left.then((late) => decide(kong, ready, claim, late))
    : decide(kong, ready, claim, left)
}

function claimIn({ entities }: AccessKong, header: string): Claim | undefined {
  const known = verified.recall(header)
  if (known) return { username: String(known.credential?.['username']), header, known, isRight: true }
  const given = credentialsIn(header)
  if (!given) return undefined
  const { username, password } = given
  const credential = entities.by('basicauth_credentials', 'username', username)
  const isRight = credential !== undefined && isRightFor(credential.entity, password)
  return { username, header, credential, isRight }
}

/** Lets a request in by what its header comes to, unless there are seconds to wait. */
function decide(kong: AccessKong, ready: Ready, claim: Claim, left = 0): Answer | undefined {
  if (left > 0) return kong.response.error(429, 'Too Many Requests', { 'Retry-After': String(left) })
  const { header, known, credential, isRight } = claim
  if (known) kong.client.authenticate(known)
  else if (!credential || !isRight || !admit(kong, credential.entity, credential.entity['username']))
    return refuse(kong, ready)
  else remember(kong, header, credential)
  return undefined
}

function remember({ client, entities }: AccessKong, header: string, credential: Loaded): void {
  const identity = client.get_identity()
  const consumer = identity?.consumer && entities.get('consumers', identity.consumer.id)
  if (identity && consumer) verified.remember(header, { from: [credential, consumer], value: identity })
}

interface Credentials {
  readonly username: string
  readonly password: Buffer
}

const COLON = 0x3a

/** What a header's first `Basic` or `basic` holds. As in Kong text before it is ignored, and white space after it is optional. */
function credentialsIn(header: string): Credentials | undefined {
  const text = /[Bb]asic\s*(.+)/.exec(header)?.[1]
  const bytes = text === undefined ? undefined : decodeBase64(text)
  if (bytes === undefined) return undefined
  // Kong looks for a name before a colon anywhere, so that colons at the start are passed over.
  let start = 0
  while (bytes[start] === COLON) start++
  const colon = bytes.indexOf(COLON, start)
  if (colon < 0) return undefined
  return { username: bytes.toString('utf8', start, colon), password: bytes.subarray(colon + 1) }
}

function isRightFor(credential: Entity, password: Buffer): boolean {
  const { id } = credential['consumer'] as { readonly id: string }
  return sameSecret(passwordHash(password, id), String(credential['password']))
}

const refuse = (kong: AccessKong, { challenge }: Ready): Answer => kong.response.error(401, undefined, challenge)
