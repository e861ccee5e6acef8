/**
 * Who may use the Admin API: whoever reaches it, or, where the settings ask for them, bearers of a token. A client
 * certificate, where one is asked for, has been checked before by TLS. Through the socket under the prefix come only those
 * who own the store's file anyway.
 */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Settings } from '../config/settings.ts'
import type { Log } from '../observe/log.ts'
import { type AdminRole, findAdminToken, isSameText } from '../store/admin-tokens.ts'
import type { Reader } from '../store/store.ts'
import { message, type Answer } from './answers.ts'
import type { Endpoint } from './types.ts'

/** Who sends a request, as far as that is known. */
export interface Caller {
  readonly by: 'token' | 'certificate' | 'socket' | 'address'
  /** The token's name, the certificate's subject, or nothing that is known. */
  readonly name: string | null
  readonly role: AdminRole
}

/** The header that holds a token, as Kong's clients send it. */
export const TOKEN_HEADER = 'Kong-Admin-Token'

const challenge = { 'WWW-Authenticate': `${TOKEN_HEADER} realm="Admin API"` }
const noToken: Answer = {
  ...message(401, `a token is required: send it in the header ${TOKEN_HEADER}`),
  headers: challenge,
}
const wrongToken: Answer = { ...message(401, 'the token is not valid'), headers: challenge }
const mayOnlyRead = message(403, 'the token allows only to read')

/** Methods that change nothing. */
export const READS = new Set(['GET', 'HEAD', 'OPTIONS'])
const TELL_EVERY_MS = 10_000

/** The socket's bearer: the owner of the prefix. */
export const owner: Caller = { by: 'socket', name: null, role: 'admin' }

/** Gives what names a request's sender, or refuses him. Nothing but the head of a request has been read by then. */
export function doorkeeper({
  settings,
  reader,
  log,
  now = () => performance.now(),
}: {
  readonly settings: Pick<Settings, 'admin_tokens' | 'admin_token'>
  readonly reader: Pick<Reader, 'get' | 'renew'>
  readonly log: Pick<Log, 'warn'>
  readonly now?: () => number
}): (request: IncomingMessage) => Caller | { readonly refusal: Answer } {
  const refused = refusalTeller(log, now)
  return (request) => {
    // A browser asks without the token whether it may send one; the answer tells nothing but methods.
    if (settings.admin_tokens === 'off' || request.method === 'OPTIONS') return callerWithout(request)
    const text = request.headers[TOKEN_HEADER.toLowerCase()]
    const caller = typeof text === 'string' ? bearer(text) : undefined
    if (caller) return caller
    refused(request)
    return { refusal: text === undefined ? noToken : wrongToken }
  }

  function bearer(text: string): Caller | undefined {
    if (settings.admin_token !== undefined && isSameText(text, settings.admin_token))
      return { by: 'token', name: 'admin_token', role: 'admin' }
    reader.renew()
    const token = findAdminToken(reader, text)
    return token && { by: 'token', name: token.name, role: token.role }
  }
}

/** What keeps a caller of this role from an endpoint. */
export function forbidden({ role }: Caller, method: string, endpoint: Endpoint | undefined): Answer | undefined {
  return role === 'admin' || READS.has(method) || endpoint?.onlyReads ? undefined : mayOnlyRead
}

function callerWithout({ socket }: IncomingMessage): Caller {
  const certificate = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate() : undefined
  const name = certificate?.subject?.CN
  if (!certificate) return { by: 'address', name: null, role: 'admin' }
  return { by: 'certificate', name: typeof name === 'string' ? name : certificate.fingerprint256, role: 'admin' }
}

/** Tells of refused requests now and then, with their number: a flood of them is not to be one of lines. */
function refusalTeller(log: Pick<Log, 'warn'>, now: () => number): (request: IncomingMessage) => void {
  let count = 0
  let nextAt = -Infinity
  return ({ socket }) => {
    count++
    if (now() < nextAt) return
    nextAt = now() + TELL_EVERY_MS
    log.warn('the Admin API refused requests without a valid token', { count, last_client: socket.remoteAddress })
    count = 0
  }
}
