/**
 * Sessions: opened from a request's cookie, renewed, and ended.
 *
 * A session has three times: when it was created, when it was renewed last (which gives it a new id), and when it was used last. All
 * stand in the cookie, sealed. What it holds, by audience, stands there, too, or in the database.
 * Source: Kong's docs, "Session"; lua-resty-session's documentation for the meaning of the timeouts.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Change, Entities, Entity } from '../../pdk/entities.ts'
import type { Request } from '../../pdk/kong.ts'
import type { Cookie, Ready } from './ready.ts'

/** What is known of who a session belongs to. */
export interface Holder {
  readonly subject: string
  readonly consumer: string
  readonly credential: string
  readonly groups?: readonly string[]
}

type Holders = Readonly<Record<string, Holder>>

/** Times are in whole seconds since 1970. */
export interface Session {
  readonly id: string
  readonly created: number
  readonly renewed: number
  readonly used: number
  /** By audience: several applications may share a cookie. */
  readonly holders: Holders
}

/** What a cookie says; `holders` where the database does not. */
type Sealed = Omit<Session, 'holders'> & { readonly holders?: Holders }

/** A session that was not used for so long is told to be in use. */
const touchSeconds = 60

/** Browsers keep cookies of up to 4096 bytes, with their names and attributes. */
const longestCookie = 3800

export interface Opened {
  readonly session: Session
  readonly cookie: Cookie
  /** The database's row that holds it. */
  readonly row: Entity | undefined
}

/** The session that a request's cookie names, while it lasts. */
export function openSession(request: Request, entities: Entities, ready: Ready, cookie: Cookie): Opened | undefined {
  const text = cookieOf(request, cookie.name)
  const sealed = text === undefined ? undefined : (cookie.seal.open(text) as Sealed | undefined)
  if (!sealed || !lasts(sealed, cookie, ready.now())) return undefined
  const row = ready.rows && entities.by('sessions', 'session_id', sealed.id)?.entity
  const holders = ready.rows ? holdersIn(ready, row) : sealed.holders
  if (!holders || !Object.hasOwn(holders, ready.audience)) return undefined
  return { session: { ...sealed, holders }, cookie, row }
}

function holdersIn({ rows, now }: Ready, row: Entity | undefined): Holders | undefined {
  if (!row || (typeof row['expires'] === 'number' && row['expires'] <= now())) return undefined
  return rows?.open(String(row['data'])) as Holders | undefined
}

function lasts(session: Omit<Session, 'holders'>, cookie: Cookie, now: number): boolean {
  return timeLeft(session, cookie, now) >= 0
}

/** The seconds until a session ends by the first of its timeouts; infinite where it has none. */
export function timeLeft(session: Omit<Session, 'holders'>, cookie: Cookie, now: number): number {
  return Math.min(
    leftOf(cookie.idlingTimeout, session.used, now),
    leftOf(cookie.rollingTimeout, session.renewed, now),
    leftOf(cookie.absoluteTimeout, session.created, now),
  )
}

export const leftOf = (timeout: number, since: number, now: number): number =>
  timeout === 0 ? Infinity : timeout - (now - since)

/** Whether a session should get a new id: when three quarters of its time are over. */
export const isDue = ({ session: { renewed }, cookie: { rollingTimeout } }: Opened, now: number): boolean =>
  rollingTimeout > 0 && now - renewed > Math.floor(rollingTimeout * 0.75)

/** Whether a session's cookie should tell that it is in use. */
export const isIdling = ({ session: { used }, cookie: { idlingTimeout } }: Opened, now: number): boolean =>
  idlingTimeout > 0 && now - used > touchSeconds

/** A session of its own id, in the place of another where there was one. */
export function renewed(ready: Ready, cookie: Cookie, holder: Holder, before: Opened | undefined): Opened {
  const now = ready.now()
  const session: Session = {
    id: randomBytes(32).toString('base64url'),
    created: before?.session.created ?? now,
    renewed: now,
    used: now,
    holders: { ...before?.session.holders, [ready.audience]: holder },
  }
  return { session, cookie, row: undefined }
}

/** What is to be written where the database holds sessions: the new one, and that the old one ends, soon or at once. */
export function changesFor(ready: Ready, after: Opened, before: Opened | undefined): Change[] {
  if (!ready.rows) return []
  const now = ready.now()
  // A row is not written when a session is used, so that its idling does not count here.
  const left = timeLeft(after.session, { ...after.cookie, idlingTimeout: 0 }, now)
  const ttl = Number.isFinite(left) ? Math.max(1, Math.ceil(left)) : 0
  const id = randomUUID()
  const entity = {
    id,
    session_id: after.session.id,
    data: ready.rows.seal(after.session.holders),
    expires: ttl === 0 ? null : now + ttl,
    ttl,
  }
  return [
    { do: 'insert', kind: 'sessions', entity },
    ...metadataOf(ready, after.session, id),
    ...(before?.row ? [ending(ready, before.row, now)] : []),
  ]
}

/** What is written beside the row with this id of whose the session is; it goes when the row does. */
function metadataOf({ subjectKept }: Ready, { id: sid, holders }: Session, id: string): Change[] {
  if (!subjectKept) return []
  return Object.entries(holders).map(([audience, { subject }]) => ({
    do: 'insert',
    kind: 'session_metadatas',
    entity: { session: { id }, sid, audience, subject: subjectKept(subject) },
  }))
}

/** Requests that were sent with the old cookie meanwhile still come through. */
function ending({ staleTtl }: Ready, row: Entity, now: number): Change {
  const ttl = Math.ceil(staleTtl)
  if (ttl <= 0) return { do: 'delete', kind: 'sessions', id: row.id }
  return { do: 'update', kind: 'sessions', id: row.id, changes: { expires: now + ttl, ttl } }
}

/** The Set-Cookie line of a session; undefined where it is too long for a browser. */
export function cookieLine(ready: Ready, { session, cookie }: Opened): string | undefined {
  const { holders, ...times } = session
  const value = cookie.seal.seal(ready.rows ? times : { ...times, holders })
  if (value.length > longestCookie) return undefined
  return `${cookie.name}=${value}${ready.attributes}${persistence(cookie, session)}`
}

function persistence({ persistent, rollingTimeout }: Cookie, { renewed }: Session): string {
  if (!persistent) return ''
  const seconds = rollingTimeout > 0 ? rollingTimeout : 34_560_000
  return `; Expires=${new Date((renewed + seconds) * 1000).toUTCString()}; Max-Age=${seconds}`
}

/** The Set-Cookie line that takes a cookie back. */
export const expiredLine = ({ attributes }: Ready, { name }: Cookie): string =>
  `${name}=${attributes}; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0`

/** The first cookie of this name. RFC 6265 5.4. */
function cookieOf(request: Request, name: string): string | undefined {
  for (const pair of request.get_header_values('cookie').flatMap((line) => line.split(';'))) {
    const equals = pair.indexOf('=')
    if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}
