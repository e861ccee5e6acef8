/**
 * Changes of the configuration, one after the other, under steady traffic. Every answer tells by which route, service, plugin and
 * target it came about; together they must be those of one configuration that was in force between its request and its answer.
 */
import { makeCertificate } from '../../src/config/self-signed.ts'
import { type Started, startProcess } from '../../test/e2e/started.ts'
import { chat } from './chat.ts'
import { host } from './connections.ts'
import { type Database, openDatabase } from './database.ts'
import { type Origin, seenOf, startOrigin } from './origin.ts'
import { type SteadyCounts, steady } from './steady.ts'

export interface ChangesOptions {
  readonly changes: number
  readonly perSecond: number
  readonly database?: Database
}

export interface ChangesResult {
  readonly changes: number
  readonly seconds: number
  readonly requests: number
  readonly answered: number
  readonly answeredOver: SteadyCounts['answeredOver']
  readonly askedAgain: number
  /** New connections, and those of them on which a certificate was shown. */
  readonly connections: number
  readonly handshakes: number
  /** What became of the other requests, and of handshakes. */
  readonly lost: readonly string[]
  /** Frames on the WebSocket, and why it ended by itself. */
  readonly said: number
  readonly heard: number
  readonly ended: string | undefined
  /** Of the changes, in ms. */
  readonly changeMs: readonly number[]
}

/** What an answer shows of a configuration, by what changes: each change moves one of them by one. */
const parts = ['service', 'plugin', 'target', 'route', 'certificate'] as const
type Part = (typeof parts)[number]
type Seen = Readonly<Partial<Record<Part, number>>>

/** How many different consumers, targets and certificates there are; the others are told by the number itself. */
const variants = { plugin: 10, target: 4, route: 2, certificate: 8 } as const

/** How often a part has changed when so many changes were made, as far as it shows. */
function countOf(part: Part, changes: number): number {
  const count = Math.floor((changes + parts.length - 1 - parts.indexOf(part)) / parts.length)
  return part === 'service' ? count : count % variants[part]
}

/** What is seen after so many changes. */
export const seenAfter = (changes: number): Seen =>
  Object.fromEntries(parts.map((part) => [part, countOf(part, changes)]))

/** Whether what was seen is of one configuration, after `from` to `to` changes. */
export function isOfOne(seen: Seen, from: number, to: number): boolean {
  const entries = Object.entries(seen) as [Part, number][]
  for (let changes = from; changes <= to; changes++) {
    if (entries.every(([part, count]) => countOf(part, changes) === count)) return true
  }
  return false
}

export async function tryChanges(options: ChangesOptions): Promise<ChangesResult> {
  const store = await openDatabase(options.database ?? 'sqlite')
  const origins = await Promise.all(Array.from({ length: variants.target }, (_, at) => startOrigin(String(at))))
  const gateway = await startProcess({
    ...store.settings,
    proxy_listen: '127.0.0.1:0 http2, 127.0.0.1:0 ssl http2',
    proxy_error_log: 'error.log',
  })
  try {
    return await run(gateway, origins, options)
  } finally {
    await gateway.stop()
    await store.close()
    for (const origin of origins) origin.close()
  }
}

async function run(gateway: Started, origins: readonly Origin[], options: ChangesOptions): Promise<ChangesResult> {
  const change = await changesOf(gateway, origins)
  const [port = 0, tlsPort = 0] = gateway.proxy.map((url) => Number(new URL(url).port))
  /** Changes that have been answered, and those that have been asked for. */
  let made = 0
  let asked = 0
  const talk = await chat(port, '/chat')
  const traffic = steady({
    ports: { 'HTTP/1.1': port, 'HTTP/2': port, 'HTTP/2 over TLS': tlsPort },
    perSecond: options.perSecond,
    path: '/changes',
    note: () => made,
    check: (body, from) => {
      const { name: target, path, consumer } = seenOf(body)
      const [, service = '', rest = ''] = /^\/s(\d+)(\/changes)?$/.exec(path) ?? []
      const seen = {
        target: Number(target),
        service: Number(service),
        route: rest === '' ? 0 : 1,
        plugin: Number(consumer.slice(1)),
      }
      return isOfOne(seen, from, asked) ? undefined : `${body} between change ${from} and ${asked}`
    },
    checkCertificate: (commonName, from) => {
      const seen = { certificate: Number(/^c(\d+)\./.exec(commonName)?.[1]) }
      return isOfOne(seen, from, asked) ? undefined : `certificate ${commonName} between change ${from} and ${asked}`
    },
  })
  const begun = performance.now()
  const changeMs: number[] = []
  while (made < options.changes) {
    const from = performance.now()
    await change(++asked)
    made = asked
    changeMs.push(performance.now() - from)
  }
  const seconds = (performance.now() - begun) / 1000
  await traffic.stop()
  await talk.close()
  const { sent, answered, answeredOver, askedAgain, connections, handshakes, lost } = traffic.counts
  const { said, heard, ended } = talk
  return {
    changes: made,
    seconds,
    requests: sent,
    answered,
    answeredOver,
    askedAgain,
    connections,
    handshakes,
    lost,
    said,
    heard,
    ended,
    changeMs,
  }
}

/** Sets the gateway up, and returns what makes the n-th change. */
async function changesOf({ admin }: Started, origins: readonly Origin[]): Promise<(count: number) => Promise<void>> {
  const send = async (method: string, path: string, body: object): Promise<void> => {
    const headers = { 'Content-Type': 'application/json' }
    const answer = await fetch(`${admin[0]}${path}`, { method, headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  }
  const certificates = Array.from({ length: variants.certificate }, (_, at) =>
    makeCertificate([`c${at}.test`], Date.now()),
  )
  const ids = { target: '00000000-0000-4000-8000-00000000000a', certificate: '00000000-0000-4000-8000-00000000000b' }
  const targetAt = (at: number) => ({ target: `127.0.0.1:${origins[at]?.port}`, weight: 100 })
  for (let at = 0; at < variants.plugin; at++) await send('PUT', `/consumers/c${at}`, {})
  await send('PUT', '/upstreams/up', {})
  await send('POST', '/upstreams/up/targets', { id: ids.target, ...targetAt(0) })
  await send('PUT', '/services/changing', { host: 'up', path: '/s0' })
  await send('PUT', '/services/changing/routes/changing', { paths: ['/changes'], strip_path: true })
  const pluginId = '00000000-0000-4000-8000-00000000000c'
  const plugin = (at: number) => ({ name: 'key-auth', config: { anonymous: `c${at}` }, service: { name: 'changing' } })
  await send('PUT', `/plugins/${pluginId}`, plugin(0))
  await send('PUT', '/services/chat', { host: '127.0.0.1', port: origins[0]?.port })
  await send('PUT', '/services/chat/routes/chat', { paths: ['/chat'] })
  await send('PUT', `/certificates/${ids.certificate}`, { ...certificates[0], snis: [host] })
  const changed: Readonly<Record<Part, (count: number) => Promise<void>>> = {
    service: (count) => send('PATCH', '/services/changing', { path: `/s${count}` }),
    plugin: (count) => send('PUT', `/plugins/${pluginId}`, plugin(count)),
    target: (count) => send('PATCH', `/upstreams/up/targets/${ids.target}`, targetAt(count)),
    route: (count) => send('PATCH', '/routes/changing', { strip_path: count === 0 }),
    certificate: (count) => send('PATCH', `/certificates/${ids.certificate}`, { ...certificates[count] }),
  }
  return (changes) => {
    const part = parts[(changes - 1) % parts.length]!
    return changed[part](countOf(part, changes))
  }
}
