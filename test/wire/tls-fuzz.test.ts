/**
 * What strangers say to a listener with TLS, by chance: hellos that are changed, cut, split or strange, what is no TLS at all, and
 * bytes behind a good handshake. The gateway goes on, answers in TLS or not at all, and keeps nothing of it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { issue } from '../e2e/certificates.ts'
import { oneService, startDataPlane } from '../e2e/data-plane.ts'
import { echoTargets, pause, request, startUpstream, until } from '../e2e/sockets.ts'
import { chance, some, type Chance } from './mutate.ts'
import { shown } from './requests.ts'
import { secondsEach, withEachSeed } from './seeds.ts'

const together = 64
/** Longer than all limits of a connection together, on a machine that is busy with other tests. */
const endMs = 30_000
/** What is left of thousands of connections: what V8 keeps of code and caches, not of each of them. */
const mostKept = 12 * 2 ** 20

withEachSeed('whatever is said to a listener with TLS, it goes on and keeps nothing', async (context, seed) => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const [own, shop] = [issue('localhost'), issue('www.shop.test')]
  const certificates = [{ cert: shop.cert, key: shop.key, snis: [{ name: 'www.shop.test' }, { name: '*.shop.test' }] }]
  const plane = await startDataPlane({
    config: { ...oneService(upstream.port), certificates },
    http2: true,
    tls: own,
    settings: { client_header_timeout: '1s' },
  })
  const good = await goodClient(plane.port)
  await good.ask()
  const hellos = await recordHellos()
  const talk = (run: number): Promise<Talk> => {
    const next = chance(seed, run)
    return next(5) === 0 ? afterHandshake(plane.port, next) : beforeHandshake(plane.port, hello(next, hellos), next)
  }
  // They say no more and do not leave: the gateway's limits end them.
  const silent = Promise.all(
    Array.from({ length: together }, (_, run) => {
      const next = chance(seed, run)
      return beforeHandshake(plane.port, hello(next, hellos), next, true)
    }),
  )
  let runs = together
  let answered = 0
  const check = (talks: readonly Talk[], first: number): void => {
    for (const [at, { said, heard, isOver, statuses }] of talks.entries()) {
      const message = `seed ${seed}, run ${first + at}: ${shown(said)}: ${shown(heard.toString('latin1'))}`
      assert.ok(isOver, `does not end: ${message}`)
      assert.ok(isTls(heard), message)
      assert.ok(
        statuses.every((status) => status < 500),
        message,
      )
      answered += Number(heard.length > 0)
    }
  }
  const batch = async (): Promise<void> => {
    check(await Promise.all(Array.from({ length: together }, (_, at) => talk(runs + at))), runs)
    runs += together
    assert.match(await good.ask(), /^HTTP\/1\.1 200 /)
    assert.equal(await nameShownTo(plane.port, 'www.shop.test'), 'www.shop.test')
  }
  const end = Date.now() + secondsEach * 1000
  while (Date.now() < end - secondsEach * 500) await batch()
  check(await silent, 0)
  const before = kept()
  while (Date.now() < end) await batch()
  good.close()
  await until(
    () => plane.runtime.stats.active === 0,
    () => 'all connections to end',
  )
  const grown = kept() - before
  context.diagnostic(
    `${runs} connections, ${answered} answered; ${Math.round(grown / 1024)} KiB kept of the second half`,
  )
  assert.ok(grown < mostKept, `${grown} bytes are kept`)
  assert.equal(plane.runtime.held.bytes, 0)
  assert.deepEqual(
    plane.log.filter((line) => /^(error|crit)/.test(line)),
    [],
  )
  assert.ok(answered > 0)
  plane.close()
  upstream.close()
})

/** Bytes in V8's heap and its buffers, without what is garbage. */
function kept(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

// ---- what is said

const { fromCharCode } = String
const number = (value: number, bytes: number): string =>
  bytes === 0 ? '' : number(Math.floor(value / 256), bytes - 1) + fromCharCode(value & 255)
const sized = (bytes: 1 | 2 | 3, text: string): string => number(text.length, bytes) + text
const noise = (next: Chance, most: number): string =>
  Array.from({ length: next(most) }, () => fromCharCode(next(256))).join('')

/** A record (RFC 8446 5.1) of a type: 20 for a change of cipher, 21 for an alert, 22 for a handshake, 23 for data. */
const record = (type: number, content: string, length = content.length): string =>
  fromCharCode(type, 3, 1) + number(length, 2) + content

/** Server names (RFC 6066 3) as they are, and as they must not be. */
const names: readonly string[] = [
  'www.shop.test',
  'WWW.SHOP.TEST',
  'a.shop.test.',
  '*.shop.test',
  '*',
  '',
  '.',
  '..shop.test',
  'a'.repeat(255) + '.shop.test',
  'a.'.repeat(4000),
  '\xc3\xa9.shop.test',
  '\xff\xfe',
  'www.shop.test\0.evil.test',
  'a\r\nb',
  ' ',
  '127.0.0.1',
  '[::1]',
  '__proto__',
  'constructor',
  '%00',
  'xn--ls8h.shop.test',
]

/** A ClientHello (RFC 8446 4.1.2) of few parts, which OpenSSL takes for one of TLS 1.2. */
function plainHello(next: Chance): string {
  const entry = (): string => fromCharCode(next(8) === 0 ? next(256) : 0) + sized(2, some(names, next))
  const extension = (type: number, content: string): string => number(type, 2) + sized(2, content)
  const name = extension(0, sized(2, Array.from({ length: next(8) === 0 ? next(4) : 1 }, entry).join('')))
  const others = [
    extension(10, sized(2, '\0\x17\0\x1d')),
    extension(13, sized(2, '\x04\x03\x08\x04\x04\x01')),
    extension(16, sized(2, some(['\x02h2', '\x08http/1.1', '\0', '\xffh2', sized(1, 'x'.repeat(255))], next))),
    extension(next(65_536), noise(next, 40)),
    extension(43, sized(1, '\x03\x04')),
    extension(next(60), ''),
  ]
  const extensions = others.filter(() => next(2) === 0).toSpliced(next(4), 0, name)
  const suites = sized(2, '\xc0\x2b\xc0\x2f\x13\x01')
  const body = `\x03\x03${'r'.repeat(32)}${sized(1, '')}${suites}${sized(1, '\0')}${sized(2, extensions.join(''))}`
  return record(22, fromCharCode(1) + sized(3, body))
}

/** What is no hello. */
const strange: readonly ((next: Chance) => string)[] = [
  (next) => noise(next, 3000),
  (next) => record(some([20, 21, 22, 23, 24, 0, 255], next), noise(next, 300)),
  (next) => record(22, noise(next, 200), some([0, 1, 16_384, 16_385, 18_433, 65_535], next)),
  (next) => record(22, fromCharCode(1) + number(some([0, 1, 65_536, 2 ** 24 - 1], next), 3) + noise(next, 100)),
  (next) => record(22, 'x'.repeat(16_384)).repeat(1 + next(8)),
  (next) => record(22, '').repeat(next(100)),
  (next) => Array.from({ length: next(60) }, () => record(22, '\x01')).join(''),
  (next) => record(21, fromCharCode(1 + next(2), next(120))).repeat(1 + next(50)),
  (next) => record(20, '\x01').repeat(1 + next(50)),
  (next) => `\x80\x2e\x01\0\x02\0\x15\0\0\0\x10${noise(next, 60)}`,
  () => 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  () => 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
  () => 'SSH-2.0-OpenSSH_9\r\n',
]

const changes: readonly ((text: string, next: Chance) => string)[] = [
  function overwrite(text, next) {
    const at = next(text.length)
    return text.slice(0, at) + fromCharCode(next(256)) + text.slice(at + 1)
  },
  function flip(text, next) {
    const at = next(text.length)
    return text.slice(0, at) + fromCharCode((text.charCodeAt(at) || 0) ^ (1 << next(8))) + text.slice(at + 1)
  },
  function truncate(text, next) {
    return text.slice(0, next(text.length + 1))
  },
  function insert(text, next) {
    const at = next(text.length + 1)
    return text.slice(0, at) + noise(next, 40) + text.slice(at)
  },
  function remove(text, next) {
    const at = next(text.length + 1)
    return text.slice(0, at) + text.slice(at + 1 + next(20))
  },
  function lengthen(text, next) {
    const at = next(Math.min(text.length, 80))
    return text.slice(0, at) + some(['\0\0', '\xff\xff', '\0\x01', '\x40\0'], next) + text.slice(at + 2)
  },
  function intoRecords(text, next) {
    const size = 1 + next(100)
    const pieces = text.slice(5).match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    return pieces.map((piece) => record(22, piece)).join('')
  },
  function repeat(text) {
    return text + text
  },
  function goOn(text, next) {
    return text + some(strange, next)(next)
  },
]

function hello(next: Chance, hellos: readonly string[]): string {
  const kind = next(6)
  let text = kind === 0 ? some(strange, next)(next) : kind < 4 ? plainHello(next) : some(hellos, next)
  for (let left = next(4); left > 0; left--) text = some(changes, next)(text, next)
  return text
}

/** What Node's clients, which are OpenSSL, say first; one character a byte. */
async function recordHellos(): Promise<string[]> {
  const options: readonly tls.ConnectionOptions[] = [
    {},
    { servername: 'www.shop.test', ALPNProtocols: ['h2', 'http/1.1'] },
    { servername: 'a.shop.test', maxVersion: 'TLSv1.2' },
    { minVersion: 'TLSv1.3', ALPNProtocols: ['h2'] },
  ]
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const all: string[] = []
  for (const one of options) {
    const client = tls.connect({ port, host: '127.0.0.1', ...one }).on('error', () => {})
    const [socket] = (await once(server, 'connection')) as [net.Socket]
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    all.push(bytes.toString('latin1'))
    client.destroy()
    socket.destroy()
  }
  server.close()
  return all
}

// ---- how it is said

interface Talk {
  readonly said: string
  readonly heard: Buffer
  /** Whether the gateway has ended the connection, or seen that its client did. */
  readonly isOver: boolean
  /** Of what was asked in TLS. */
  readonly statuses: readonly number[]
}

/** Whether it begins with the type of a record of TLS, or is nothing. The version in an alert may be the client's own. */
const isTls = ([type = 20]: Buffer): boolean => type >= 20 && type <= 23

/** Says something in pieces and ends in some way; `isSilent` leaves the end to the gateway. */
async function beforeHandshake(port: number, said: string, next: Chance, isSilent = false): Promise<Talk> {
  const cuts = Array.from({ length: next(4) }, () => next(said.length + 1)).sort((a, b) => a - b)
  const end = some(['end', 'resetAndDestroy', 'destroy'] as const, next)
  const heard: Buffer[] = []
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const closed = once(socket, 'close').catch(() => {})
  socket.on('error', () => {}).on('data', (bytes: Buffer) => heard.push(bytes))
  socket.on('end', () => socket.end())
  let from = 0
  for (const cut of [...cuts, said.length]) {
    socket.write(said.slice(from, cut), 'latin1')
    from = cut
    await pause(1)
  }
  await pause(next(20))
  if (!isSilent) socket[end]()
  const isOver = await within(closed)
  return { said, heard: Buffer.concat(heard), isOver, statuses: [] }
}

/** Shakes hands well, may ask, and then goes wrong. */
async function afterHandshake(port: number, next: Chance): Promise<Talk> {
  const raw = net.connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {})
  const closed = once(raw, 'close').catch(() => {})
  const secure = tls.connect({
    socket: through(raw),
    rejectUnauthorized: false,
    servername: 'www.shop.test',
    ALPNProtocols: [some(['h2', 'http/1.1'], next)],
    maxVersion: some(['TLSv1.2', 'TLSv1.3'], next),
  })
  let text = ''
  secure.on('error', () => {}).on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
  await once(secure, 'secureConnect')
  if (next(2) === 0) secure.write(request('/asked'))
  const wrong = some(
    ['noise', 'data', 'alert', 'hello', 'truncated', 'renegotiation', 'plain', 'end', 'reset'] as const,
    next,
  )
  const records: Readonly<Record<string, () => string>> = {
    noise: () => noise(next, 500),
    data: () => record(23, noise(next, 500)),
    alert: () => record(21, '\x02\x28'),
    hello: () => plainHello(next),
    truncated: () => record(23, noise(next, 100), 16_000),
    plain: () => request('/plain'),
  }
  const said = records[wrong]?.() ?? ''
  if (wrong === 'renegotiation') secure.renegotiate({}, () => {})
  else if (wrong === 'reset') raw.resetAndDestroy()
  else if (said !== '') raw.write(said, 'latin1')
  await pause(next(20))
  // The others no record can be read of: the gateway ends the connection.
  if (!['data', 'hello', 'plain'].includes(wrong)) raw.end()
  const isOver = await within(closed)
  secure.destroy()
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
  return { said: `${wrong}: ${said}`, heard: Buffer.alloc(0), isOver, statuses }
}

/** A socket for Node's client beside which bytes may be written to the same connection. */
function through(raw: net.Socket): Duplex {
  const both = new Duplex({
    read: () => void raw.resume(),
    write: (bytes: Buffer, _, done) => void raw.write(bytes, () => done()),
  })
  raw.on('data', (bytes: Buffer) => void (both.push(bytes) || raw.pause()))
  raw.on('close', () => both.destroy())
  return both.on('error', () => {})
}

const within = (closed: Promise<unknown>): Promise<boolean> =>
  Promise.race([closed.then(() => true), pause(endMs).then(() => false)])

// ---- those who mean well

async function goodClient(port: number) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  return {
    async ask(): Promise<string> {
      socket.write(request('/good'))
      return String((await once(socket, 'data'))[0])
    },
    close: () => void socket.destroy(),
  }
}

/** The name of the certificate that a new client is shown. */
async function nameShownTo(port: number, servername: string): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}
