import { hash } from 'node:crypto'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'
import { sealOf, type Seal } from './sealing.ts'

/** The plugin's checked config. */
export type Config = ConfigOf<typeof schema>

/** One of the two cookies: that of the session, or the one that outlives the browser. */
export interface Cookie {
  readonly name: string
  readonly seal: Seal
  /** In seconds; 0 for any time. */
  readonly idlingTimeout: number
  readonly rollingTimeout: number
  readonly absoluteTimeout: number
  /** Whether the browser keeps it when it is closed. */
  readonly persistent: boolean
}

export interface Ready {
  readonly session: Cookie
  /** Undefined where sessions are not remembered. */
  readonly remember: Cookie | undefined
  /** What the database's rows are sealed with; undefined where cookies hold everything. */
  readonly rows: Seal | undefined
  readonly audience: string
  readonly staleTtl: number
  /** How a subject is written beside the sessions in the database; undefined where it is not. */
  readonly subjectKept: ((subject: string) => string) | undefined
  /** What follows a cookie's value. */
  readonly attributes: string
  readonly responseHeaders: readonly string[]
  readonly requestHeaders: readonly string[]
  readonly logoutMethods: readonly string[]
  readonly logoutQueryArg: string | null
  readonly logoutPostArg: string | null
  /** The clock, in whole seconds since 1970. */
  readonly now: () => number
}

/** Prepares a config. */
export function prepare(config: Config, now: () => number): Ready {
  const secret = config.secret ?? ''
  return {
    session: {
      name: config.cookie_name ?? 'session',
      seal: sealOf(secret, 'cookie'),
      idlingTimeout: config.idling_timeout ?? 0,
      rollingTimeout: config.rolling_timeout ?? 0,
      absoluteTimeout: config.absolute_timeout ?? 0,
      persistent: false,
    },
    remember: config.remember ? rememberCookie(config, secret) : undefined,
    rows: config.storage === 'kong' ? sealOf(secret, 'row') : undefined,
    audience: config.audience ?? 'default',
    staleTtl: config.stale_ttl ?? 0,
    subjectKept: config.store_metadata ? (config.hash_subject ? hashed : (subject) => subject) : undefined,
    attributes: attributesOf(config),
    responseHeaders: config.response_headers ?? [],
    requestHeaders: config.request_headers ?? [],
    logoutMethods: config.logout_methods ?? [],
    logoutQueryArg: config.logout_query_arg,
    logoutPostArg: config.read_body_for_logout ? config.logout_post_arg : null,
    now,
  }
}

/** The first 16 bytes of the SHA-256, in base64url, as lua-resty-session has it: `printf alice | sha256sum` finds alice's. */
const hashed = (subject: string): string => hash('sha256', subject, 'buffer').subarray(0, 16).toString('base64url')

function rememberCookie(config: Config, secret: string): Cookie {
  return {
    name: config.remember_cookie_name ?? 'remember',
    seal: sealOf(secret, 'remember'),
    idlingTimeout: 0,
    rollingTimeout: config.remember_rolling_timeout ?? 0,
    absoluteTimeout: config.remember_absolute_timeout ?? 0,
    persistent: true,
  }
}

function attributesOf(config: Config): string {
  const { cookie_domain: domain, cookie_path: path, cookie_same_site: sameSite } = config
  const parts = [
    ...(domain === null || domain === 'localhost' ? [] : [`Domain=${domain}`]),
    `Path=${path ?? '/'}`,
    `SameSite=${sameSite ?? 'Strict'}`,
    // Browsers take a cookie that goes to every site only where it is a secure one.
    ...(config.cookie_secure || sameSite === 'None' ? ['Secure'] : []),
    ...(config.cookie_http_only ? ['HttpOnly'] : []),
  ]
  return parts.map((part) => `; ${part}`).join('')
}
