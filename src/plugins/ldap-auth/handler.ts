/**
 * The ldap-auth plugin: a request is let through when a directory knows its user and password.
 * Source: Kong's docs, "LDAP Authentication"; RFC 4511; RFC 4513 5.1.
 */
import { authenticate } from '../../pdk/authentication.ts'
import { decodeBase64 } from '../../pdk/base64.ts'
import { identityOf, type Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Outcome, type Plugin } from '../../pdk/plugin.ts'
import { trustedCertificates } from '../../pdk/trust.ts'
import { quoted } from '../../pdk/wire-text.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { createAnswers, type Answers } from './answers.ts'
import { createDirectory, type Directory } from './directory.ts'
import { escapeValue } from './dn.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly config: Config
  readonly anonymous: string | null
  readonly scheme: string
  readonly challenge: Readonly<Record<string, string>>
  readonly directory: Directory
  readonly answers: Answers
  readonly identities: Map<string, Identity>
}

interface Credentials {
  readonly username: string
  readonly password: string
}

/** The plugin with a clock of one's own, in seconds since 1970. */
export const createLdapAuth = (now = () => Date.now() / 1000): Plugin<Config, Ready> =>
  definePlugin<Config, Ready>({
    version: '3.10.0',
    priority: 1200,
    prepare: (config) => prepare(config, now),
    access: (kong, ready) => authenticate(kong, ready, attempt),
  })

export default createLdapAuth()

function prepare(config: Config, now: () => number): Ready {
  const type = config.header_type ?? 'ldap'
  // The default is told in capitals, as it always was.
  const told = type === 'ldap' ? 'LDAP' : type
  return {
    config,
    anonymous: config.anonymous,
    scheme: type.toLowerCase(),
    challenge: { 'WWW-Authenticate': config.realm === null ? told : `${told} realm=${quoted(config.realm)}` },
    directory: createDirectory({
      host: config.ldap_host,
      port: config.ldap_port,
      security: config.ldaps ? 'tls' : config.start_tls ? 'start tls' : 'none',
      verify: config.verify_ldap_host,
      ca: trustedCertificates(),
      timeoutMs: config.timeout ?? 10_000,
      keepAliveMs: config.keepalive ?? 60_000,
    }),
    answers: createAnswers(config.cache_ttl, now),
    identities: new Map(),
  }
}

/** The headers that may hold a password, in the order in which they are looked at. */
const headers = ['proxy-authorization', 'authorization'] as const

function attempt(kong: AccessKong, ready: Ready): Outcome {
  const given = headers.flatMap((name) => credentialsIn(kong.request.get_header(name), ready.scheme) ?? [])
  return judge(kong, ready, given)
}

/** The first of the given pairs that is right identifies the request. */
function judge(kong: AccessKong, ready: Ready, [first, ...others]: readonly Credentials[]): Outcome {
  if (!first) return refuse(kong, ready)
  const next = (isRight: boolean): Outcome => (isRight ? letIn(kong, ready, first) : judge(kong, ready, others))
  const isRight = ready.answers.ask(first.username, first.password, () => bind(ready, first))
  if (typeof isRight === 'boolean') return next(isRight)
  return isRight.then(next, (error: Error) => {
    kong.log.err(`ldap-auth: ${ready.config.ldap_host}:${ready.config.ldap_port} cannot be asked: ${error.message}`)
    return kong.response.error(500)
  })
}

const bind = ({ directory, config }: Ready, { username, password }: Credentials): Promise<boolean> =>
  directory.bind(`${config.attribute}=${escapeValue(username)},${config.base_dn}`, password)

function letIn(kong: AccessKong, ready: Ready, { username }: Credentials): undefined {
  if (ready.config.hide_credentials) for (const header of headers) kong.service.request.clear_header(header)
  kong.client.authenticate(identityFor(ready, username))
}

/** Identities that are kept ready; there is nothing of the directory in them but the name. */
const mostIdentities = 10_000

function identityFor({ identities }: Ready, username: string): Identity {
  const known = identities.get(username)
  if (known) return known
  if (identities.size >= mostIdentities) identities.clear()
  const identity = identityOf(null, { id: `ldap:${username}`, username }, username)
  identities.set(username, identity)
  return identity
}

/** `SCHEME BASE64(user:password)`. An empty password is none: a directory takes it for a request to be nobody (RFC 4513 5.1.2). */
function credentialsIn(header: string | undefined, scheme: string): Credentials | undefined {
  const [, given = '', text = ''] = /^\s*(\S+)\s+(.+)$/.exec(header ?? '') ?? []
  const pair = given.toLowerCase() === scheme ? decodeBase64(text)?.toString('utf8') : undefined
  const colon = pair?.indexOf(':') ?? -1
  if (pair === undefined || colon < 1 || colon === pair.length - 1) return undefined
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1) }
}

const refuse = (kong: AccessKong, { challenge }: Ready): Answer => kong.response.error(401, undefined, challenge)
