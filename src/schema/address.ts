import { isIPv4, isIPv6 } from 'node:net'

/** A host as configuration writes it: a name, or an address in its full form, with its port if one was given. */
export interface Host {
  readonly type: 'name' | 'ipv4' | 'ipv6'
  readonly host: string
  readonly port: number | undefined
}

export type ParsedHost = Host | { readonly error: string }

/** Kong's text for a port that is too large; its callers tell it from the others. */
export const invalidPort = 'invalid port number'

/** Parses a name, an IPv4 address or an IPv6 address, with a port or without; an IPv6 address with a port stands in brackets. */
export function parseHost(text: string): ParsedHost {
  const colons = text.split(':').length - 1
  if (colons > 1) return parseIPv6(text)
  return /^[\d.]+$/.test(text.replace(':', '')) ? parseIPv4(text) : parseName(text)
}

function parseIPv4(text: string): ParsedHost {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::(\d+))?$/.exec(text)
  const bytes = found?.slice(1, 5).map(Number) ?? []
  if (!found || bytes.some((byte) => byte > 255)) return { error: `invalid ipv4 address: ${text}` }
  return withPort('ipv4', bytes.join('.'), found[5])
}

function parseIPv6(text: string): ParsedHost {
  const bracketed = /^\[([^\]]*)\](?::(\d*))?$/.exec(text)
  if (text.startsWith('[') && !bracketed) return { error: 'invalid ipv6 address' }
  const full = fullIPv6(bracketed?.[1] ?? text)
  return full === undefined
    ? { error: `invalid ipv6 address: ${text}` }
    : withPort('ipv6', full, bracketed?.[2] || undefined)
}

/** All eight groups of four digits, in lower case; undefined for what is no IPv6 address, or is one in the dotted form. */
function fullIPv6(text: string): string | undefined {
  if (!isIPv6(text) || !/^[\da-fA-F:]+$/.test(text)) return undefined
  const [before = '', after] = text.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after ? after.split(':') : []
  const zeros = after === undefined ? 0 : 8 - head.length - tail.length
  return [...head, ...Array<string>(zeros).fill('0'), ...tail]
    .map((group) => group.toLowerCase().padStart(4, '0'))
    .join(':')
}

function parseName(text: string): ParsedHost {
  const port = /:(\d+)$/.exec(text)?.[1]
  const name = port === undefined ? text : text.slice(0, -port.length - 1)
  if (port !== undefined && Number(port) > 65_535) return { error: invalidPort }
  const labels = name.split('.')
  const sound = labels.every((label, index) => !label.endsWith('-') && (label !== '' || index === labels.length - 1))
  if (!/^[\w.-]+$/.test(name) || !sound) return { error: `invalid hostname: ${text}` }
  return withPort('name', name, port)
}

function withPort(type: Host['type'], host: string, port: string | undefined): ParsedHost {
  if (port !== undefined && Number(port) > 65_535) return { error: invalidPort }
  return { type, host, port: port === undefined ? undefined : Number(port) }
}

/** `name:port`, with an IPv6 address in brackets. */
export const hostAndPort = ({ type, host, port }: Host, defaultPort: number): string =>
  `${type === 'ipv6' ? `[${host}]` : host}:${port ?? defaultPort}`

/** Whether a text is an IPv4 or IPv6 address. */
export const isAddress = (text: string): boolean => isIPv4(text) || (isIPv6(text) && !text.includes('%'))

/** Whether a text is an address or a range such as `10.0.0.0/8`. */
export function isAddressOrRange(text: string): boolean {
  const [, address = '', prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  return isAddress(address) && (prefix === undefined || Number(prefix) <= (isIPv4(address) ? 32 : 128))
}
