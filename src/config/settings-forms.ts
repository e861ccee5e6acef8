/** How a setting's text, as it stands in a file or a variable, becomes its value. */
import { availableParallelism } from 'node:os'

export type Read<T> = { readonly value: T } | { readonly error: string }

/** One entry of a `*_listen` setting. */
export interface Listener {
  readonly ip: string
  readonly port: number
  readonly ssl: boolean
  readonly http2: boolean
  readonly proxy_protocol: boolean
  readonly deferred: boolean
  readonly bind: boolean
  readonly reuseport: boolean
  /** The longest queue of connections not yet accepted; undefined for the system's own. */
  readonly backlog: number | undefined
  readonly ipv6only: boolean | undefined
  readonly so_keepalive: string | undefined
  /** The entry as it was written, flags included, `http2` left out as Kong does. */
  readonly listener: string
}

/** One entry of `stream_listen`, whose flags are others. */
export type StreamListener = Omit<Listener, 'http2' | 'deferred'> & { readonly udp: boolean }

/** How TCP asks whether the other end is still there: all but `idleMs` undefined where the system is to say. */
export interface KeepAlive {
  /** How long nothing may come before it asks; 0 for what the system says. */
  readonly idleMs: number
  /** Between two questions. */
  readonly intervalMs: number | undefined
  /** Questions without an answer until the connection is given up. */
  readonly probes: number | undefined
}

/** What `so_keepalive` of a listener means, as nginx has it: on, or `[idle]:[interval]:[probes]`. Undefined for off. */
export function keepAliveOf({ so_keepalive: text = 'off' }: Pick<Listener, 'so_keepalive'>): KeepAlive | undefined {
  if (text === 'off') return undefined
  const [idle, interval, probes] = text === 'on' ? [] : text.split(':')
  const idleMs = timeOf(idle) ?? 0
  return { idleMs, intervalMs: timeOf(interval), probes: probes ? Number(probes) : undefined }
}

function timeOf(text: string | undefined): number | undefined {
  const read = text ? milliseconds(text) : undefined
  return read && 'value' in read ? read.value : undefined
}

/** Where a listener listens, as `net.Server.listen` takes it. As in nginx, an IPv6 one takes no IPv4 unless told to. */
export function addressOf({ ip, port, ipv6only = true }: Pick<Listener, 'ip' | 'port' | 'ipv6only'>): {
  readonly host: string
  readonly port: number
  readonly ipv6Only: boolean
} {
  const host = ip === '*' ? '0.0.0.0' : ip.replace(/^\[(.*)\]$/, '$1')
  return { host, port, ipv6Only: ipv6only && host.includes(':') }
}

/** A port that clients see, and the gateway's own behind it. */
export interface PortMap {
  readonly outside: number
  readonly listening: number
}

/** Every form but the plain ones that follow from a field's type. */
export const forms = {
  bytes,
  milliseconds,
  listeners,
  streamListeners,
  workers,
  connections,
  portMaps,
  headerTokens,
  words: (text: string): Read<readonly string[]> => ({ value: text.split(/[\s,]+/).filter(Boolean) }),
} as const

export type FormName = keyof typeof forms
export type FormValue<Name extends FormName> = Extract<ReturnType<(typeof forms)[Name]>, { value: unknown }>['value']

/** The forms of plain types. */
export const plainForms = {
  string: (text: string): Read<string> => ({ value: text }),
  integer: (text: string): Read<number> =>
    /^-?\d{1,15}$/.test(text) ? { value: Number(text) } : { error: 'expected a whole number' },
  number: (text: string): Read<number> =>
    /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? { value: Number(text) } : { error: 'expected a number' },
  boolean: onOrOff,
  array: (text: string): Read<readonly string[]> => ({ value: splitList(text) }),
} as const

/** A comma-separated list's entries, without the spaces around them. */
export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)

function onOrOff(text: string): Read<boolean> {
  if (text === 'on' || text === 'true') return { value: true }
  if (text === 'off' || text === 'false') return { value: false }
  return { error: 'expected on or off' }
}

const byteUnits: { readonly [unit: string]: number } = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

function bytes(text: string): Read<number> {
  const [, digits, unit] = /^(\d{1,12})([kmg]?)b?$/i.exec(text) ?? []
  if (digits === undefined) return { error: 'expected a size such as 8k, 10m, 1g or a number of bytes' }
  return { value: Number(digits) * byteUnits[unit!.toLowerCase()]! }
}

const timeUnits: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1000,
  '': 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

// As nginx's are: a number of seconds, or numbers with units one after another (1m30s).
function milliseconds(text: string): Read<number> {
  const withUnits = /^[\d.]+$/.test(text) ? `${text}s` : text.replaceAll(' ', '')
  if (!/^(?:\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h|d))+$/.test(withUnits)) {
    return { error: 'expected a time such as 500ms, 30s, 1m or a number of seconds' }
  }
  const parts = withUnits.matchAll(/([\d.]+)(ms|[smhd])/g)
  return {
    value: [...parts].reduce((sum, [, digits, unit]) => sum + Math.round(Number(digits) * timeUnits[unit!]!), 0),
  }
}

function workers(text: string): Read<number> {
  if (text === 'auto') return { value: availableParallelism() }
  return /^[1-9]\d{0,3}$/.test(text) ? { value: Number(text) } : { error: 'expected auto or a number from 1' }
}

// What nginx would work out from the limit of open files.
const usualConnections = 16_384

function connections(text: string): Read<number> {
  return text === 'auto' ? { value: usualConnections } : plainForms.integer(text)
}

function portMaps(text: string): Read<readonly PortMap[]> {
  const maps: PortMap[] = []
  for (const entry of splitList(text)) {
    const [, outside, listening] = /^(\d{1,5}):(\d{1,5})$/.exec(entry) ?? []
    if (!isPort(outside) || !isPort(listening))
      return { error: `expected outside:listening pairs such as 80:8000, not ${entry}` }
    maps.push({ outside: Number(outside), listening: Number(listening) })
  }
  return { value: maps }
}

const isPort = (text: string | undefined): boolean => Number(text) >= 1 && Number(text) <= 65_535

// Kong's words, and for those that stand for several headers, which.
const headerWords: { readonly [word: string]: readonly string[] } = {
  server_tokens: ['via', 'server'],
  latency_tokens: [
    'x-kong-proxy-latency',
    'x-kong-response-latency',
    'x-kong-admin-latency',
    'x-kong-upstream-latency',
  ],
  via: ['via'],
  server: ['server'],
  'x-kong-proxy-latency': ['x-kong-proxy-latency'],
  'x-kong-response-latency': ['x-kong-response-latency'],
  'x-kong-admin-latency': ['x-kong-admin-latency'],
  'x-kong-upstream-latency': ['x-kong-upstream-latency'],
  'x-kong-upstream-status': ['x-kong-upstream-status'],
  'x-kong-request-id': ['x-kong-request-id'],
}

function headerTokens(text: string): Read<readonly string[]> {
  const words = splitList(text.toLowerCase())
  if (words.length === 1 && words[0] === 'off') return { value: [] }
  const unknown = words.find((word) => !Object.hasOwn(headerWords, word))
  if (unknown !== undefined)
    return { error: `no header is called ${unknown}; known: off, ${Object.keys(headerWords).join(', ')}` }
  return { value: [...new Set(words.flatMap((word) => headerWords[word]!))] }
}

// Whole seconds from one on, as the system counts them.
const keepAliveForm = String.raw`(?!::$)(?:[1-9]\d{0,4}[smh]?)?:(?:[1-9]\d{0,4}[smh]?)?:(?:[1-9]\d?)?`
const commonFlags = String.raw`ssl|proxy_protocol|bind|reuseport|backlog=\d{1,9}|ipv6only=(?:on|off)|so_keepalive=(?:on|off|${keepAliveForm})`
const flagForm = new RegExp(`^(?:http2|deferred|${commonFlags})$`)
const streamFlagForm = new RegExp(`^(?:udp|${commonFlags})$`)
const expectedListeners = (example: string): string =>
  `expected off, or addresses such as ${example}, separated by commas`

interface Entry {
  readonly ip: string
  readonly port: number
  readonly flags: readonly string[]
}

function listeners(text: string): Read<readonly Listener[]> {
  const read = listenerEntries(text, flagForm, expectedListeners('0.0.0.0:8443 http2 ssl reuseport backlog=16384'))
  return 'error' in read ? read : { value: read.value.map(listenerOf) }
}

function streamListeners(text: string): Read<readonly StreamListener[]> {
  const read = listenerEntries(text, streamFlagForm, expectedListeners('0.0.0.0:9443 ssl reuseport backlog=16384'))
  if ('error' in read) return read
  const udp = read.value.find(({ flags }) => flags.includes('udp'))
  if (udp) return { error: `proxying UDP is not available yet (${udp.ip}:${udp.port})` }
  return {
    value: read.value.map((entry) => {
      const { http2: _, deferred: __, ...listener } = listenerOf(entry)
      return { ...listener, udp: false }
    }),
  }
}

function listenerEntries(text: string, flagForm: RegExp, expected: string): Read<readonly Entry[]> {
  const entries = splitList(text)
  if (entries[0] === 'off') return { value: [] }
  const list: Entry[] = []
  for (const entry of entries) {
    const [address = '', ...flags] = entry.split(/\s+/)
    const [, ip, port] = /^(\[[\da-f:.]+\]|[a-z\d*][a-z\d.-]*):(\d{1,5})$/i.exec(address) ?? []
    const wrong = flags.find((flag) => !flagForm.test(flag))
    // Port 0 lets the system choose one.
    if (ip === undefined || Number(port) > 65_535) return { error: `${expected}; ${address} is no address with a port` }
    if (wrong !== undefined) return { error: `${expected}; ${wrong} is no known flag` }
    list.push({ ip, port: Number(port), flags })
  }
  return { value: list }
}

function listenerOf({ ip, port, flags }: Entry): Listener {
  const valueOf = (name: string): string | undefined =>
    flags.find((flag) => flag.startsWith(`${name}=`))?.slice(name.length + 1)
  const backlog = valueOf('backlog')
  const ipv6only = valueOf('ipv6only')
  return {
    ip,
    port,
    ssl: flags.includes('ssl'),
    http2: flags.includes('http2'),
    proxy_protocol: flags.includes('proxy_protocol'),
    deferred: flags.includes('deferred'),
    bind: flags.includes('bind'),
    reuseport: flags.includes('reuseport'),
    backlog: backlog === undefined ? undefined : Number(backlog),
    ipv6only: ipv6only === undefined ? undefined : ipv6only === 'on',
    so_keepalive: valueOf('so_keepalive'),
    listener: [`${ip}:${port}`, ...flags.filter((flag) => flag !== 'http2')].join(' '),
  }
}
