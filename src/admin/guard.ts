import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { READS } from './access.ts'
import { message, type Answer } from './answers.ts'

/** Who may speak to the Admin API from a browser, and by which names it may be called. */
export interface Guarded {
  /** Host names, beside IP addresses, `localhost` and names without a dot, that requests may carry in `Host`. */
  readonly hosts: readonly string[]
  /** Origins, such as `https://manager.example`, whose pages may read and write. */
  readonly origins: readonly string[]
}

export interface Visitor {
  /** The answer to a request that a web page had no right to send. */
  readonly refusal?: Answer
  /** The CORS headers of whatever is answered; none for a page that may not read it. */
  readonly cors: Readonly<Record<string, string>>
}

/** Kong's CORS headers, on answers that no page can have asked for. */
export const OPEN_TO_PROGRAMS = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true' }

/**
 * Judges where a request comes from. A page that the user visits can make the browser send requests to an Admin API on
 * this machine, or have its own name resolve to this machine (DNS rebinding) and then read the answers too; programs send
 * neither `Origin` nor `Sec-Fetch-Site`, and call the API by an address or a name it is known by.
 */
export function visitorOf(method: string, headers: IncomingHttpHeaders, guarded: Guarded): Visitor {
  const { host, origin } = headers
  const name = hostName(host)
  if (host !== undefined && !isKnownName(name, guarded.hosts)) return { refusal: foreignHost, cors: {} }
  if (origin !== undefined) return fromOrigin(method, origin, host, guarded.origins)
  if (!READS.has(method) && isForeignSite(headers['sec-fetch-site'])) return { refusal: foreignPage, cors: {} }
  return { cors: OPEN_TO_PROGRAMS }
}

const foreignHost = message(403, 'the Host header names no host that this Admin API is known by')
const foreignPage = message(403, 'web pages of other origins must not change the configuration')

function fromOrigin(method: string, origin: string, host: string | undefined, allowed: readonly string[]): Visitor {
  const own = origin === `http://${host}` || origin === `https://${host}`
  if (own || allowed.includes(origin)) {
    const cors = {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      Vary: 'Origin',
    }
    return { cors }
  }
  return READS.has(method) ? { cors: { Vary: 'Origin' } } : { refusal: foreignPage, cors: {} }
}

/** `same-site` is foreign too: all ports of localhost are one site. */
const isForeignSite = (site: string | string[] | undefined): boolean =>
  site !== undefined && site !== 'same-origin' && site !== 'none'

/** A `Host` without its port, in lower case, an IPv6 address without its brackets. */
function hostName(host = ''): string {
  const name = host.toLowerCase()
  const bracketed = /^\[([0-9a-f:.]+)\](?::\d*)?$/.exec(name)
  return bracketed?.[1] ?? name.replace(/:\d*$/, '').replace(/\.$/, '')
}

/** A name without a dot is never one that a stranger's DNS server answers for. */
function isKnownName(name: string, hosts: readonly string[]): boolean {
  if (isIP(name) !== 0 || name.endsWith('.localhost')) return true
  return (!name.includes('.') && /^[a-z0-9_-]*$/.test(name)) || hosts.includes(name)
}
