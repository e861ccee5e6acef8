/**
 * The basic-auth plugin: a request is let through when it carries a Consumer's user name and password.
 * Source: Kong's docs, "Basic Auth"; RFC 7617.
 */
import { admit, authenticate } from '../../pdk/authentication.ts'
import { decodeBase64 } from '../../pdk/base64.ts'
import type { Entity, Loaded } from '../../pdk/entities.ts'
import type { Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin } from '../../pdk/plugin.ts'
import { createRecall } from '../../pdk/recall.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { quoted } from '../../pdk/wire-text.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { passwordHash } from './credentials.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly hides: boolean
  readonly anonymous: string | null
  readonly challenge: Readonly<Record<string, string>>
}

export default definePlugin<Config, Ready>({
  version: '3.10.0',
  priority: 1100,
  prepare: (config) => ({
    hides: config.hide_credentials,
    anonymous: config.anonymous,
    challenge: { 'WWW-Authenticate': `Basic realm=${quoted(config.realm)}` },
  }),
  access: (kong, ready) => authenticate(kong, ready, attempt),
})

/** The headers that may hold credentials; the first whose user exists decides. */
const headers = ['proxy-authorization', 'authorization'] as const

/** Who was let in by which header: hashing a password costs more than the rest of a request. */
const verified = createRecall<Identity>(20_000)

function attempt(kong: AccessKong, ready: Ready): Answer | undefined {
  for (const header of headers) {
    const text = kong.request.get_header(header)
    if (ready.hides) kong.service.request.clear_header(header)
    const outcome = text === undefined ? undefined : attemptWith(kong, text)
    if (outcome !== undefined) return outcome ? undefined : refuse(kong, ready)
  }
  return refuse(kong, ready)
}

/** Whether a header lets the request in; undefined where its user does not exist. */
function attemptWith(kong: AccessKong, header: string): boolean | undefined {
  const known = verified.recall(header)
  if (known) {
    kong.client.authenticate(known)
    return true
  }
  const given = credentialsIn(header)
  const credential = given && kong.entities.by('basicauth_credentials', 'username', given.username)
  if (!credential) return undefined
  if (!isRight(credential.entity, given.password)) return false
  if (!admit(kong, credential.entity, credential.entity['username'])) return false
  remember(kong, header, credential)
  return true
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

function isRight(credential: Entity, password: Buffer): boolean {
  const { id } = credential['consumer'] as { readonly id: string }
  return sameSecret(passwordHash(password, id), String(credential['password']))
}

const refuse = (kong: AccessKong, { challenge }: Ready): Answer => kong.response.error(401, undefined, challenge)
