/** The load generator: keep-alive connections, each with one request under way at a time. */
import { type Socket, connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Latencies } from './latencies.ts'
import { speakHttp2 } from './load-http2.ts'
import { type Distinct, type Flood, type Job, type Outcome, answerTail, requestWith } from './messages.ts'
import { countingFor } from './instructions.ts'
import { idsOfTree, type Usage, usageOf } from './processes.ts'
import { oneOfMany } from './tokens.ts'

interface Counts {
  good: number
  refused: number
  wrong: number
  firstWrong: string | null
}

/** Sends what a job asks for, as long as it says, and tells what came of it. */
export async function run(job: Job): Promise<Outcome> {
  const counts: Counts = { good: 0, refused: 0, wrong: 0, firstWrong: null }
  const next = job.distinct && nextOfMany(job.distinct)
  const body = job.bodyBytes ? Buffer.alloc(job.bodyBytes, 'x') : undefined
  const latencies = new Latencies()
  const schedule = job.perSecond === undefined ? undefined : new Schedule(job.perSecond, latencies)
  const clients = Array.from({ length: job.connections }, (_, index) => {
    const request = job.requests[index % job.requests.length] ?? ''
    const ask = next ?? (() => request)
    const good = () => void counts.good++
    if (job.streams !== undefined) return openHttp2(job, { text: request, streams: job.streams }, counts)
    return open(job, { ask, body, wanted: 200, counted: good, counts, schedule })
  })
  if (job.flood) clients.push(...openFlood(job, job.flood, counts))
  const counting = job.instructions ? await countingFor(idsOfTree(job.pid)) : undefined
  await seconds(job.warmUpSeconds)
  const warmUp = job.warmUpRequests ?? 0
  for (let passed = 0; counts.good < warmUp && passed < mostWarmUpSeconds; passed += 0.1) await seconds(0.1)
  await counting?.begin()
  latencies.clear()
  const before = observe(job.pid, counts)
  await seconds(job.seconds)
  const after = observe(job.pid, counts)
  await counting?.end()
  schedule?.stop()
  for (const client of clients) client.destroy()
  return {
    seconds: after.time - before.time,
    good: after.good - before.good,
    refused: after.refused - before.refused,
    wrong: after.wrong,
    firstWrong: after.firstWrong,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    residentBytesBefore: before.residentBytes,
    residentBytesAfter: after.residentBytes,
    instructions: (await counting?.result()) ?? null,
    latencyMs: schedule ? latencies.quantiles() : null,
  }
}

const mostWarmUpSeconds = 20

/** Made once, since signing a million tokens takes seconds; where a round ended the next one goes on. */
const made = new Map<string, { readonly requests: readonly string[]; at: number }>()

function nextOfMany({ path, count, owners, secret }: Distinct): () => string {
  const name = `${path} ${count} ${owners}`
  const known = made.get(name) ?? {
    requests: Array.from({ length: count }, (_, at) =>
      requestWith(path, ['Authorization', `Bearer ${oneOfMany(at, owners, secret)}`]),
    ),
    at: 0,
  }
  made.set(name, known)
  return () => known.requests[known.at++ % count] ?? ''
}

const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000))

const observe = (pid: number, counts: Counts): Counts & Usage & { time: number } => ({
  ...counts,
  ...usageOf(pid),
  time: performance.now() / 1000,
})

function openFlood(job: Job, flood: Flood, counts: Counts): Socket[] {
  const next = newTokens(flood)
  const ask = () => requestWith(flood.path, ['Authorization', `Bearer ${next()}`])
  const counted = () => void counts.refused++
  return Array.from({ length: flood.connections }, () =>
    open(job, { ask, body: undefined, wanted: 401, counted, counts, schedule: undefined }),
  )
}

// Tokens differ in a counter whose digits fill whole groups of base64, so that making one costs next to nothing.
function newTokens({ kind, algorithm, key, signature }: Flood): () => string {
  const head = base64(`{"alg":"${algorithm}","typ":"JWT"}`)
  const start = kind === 'unknown key' ? '{"iss":"stranger' : `{"iss":"${key}","jti":"`
  const prefix = `${head}.${base64(start.padEnd(Math.ceil(start.length / 3) * 3, '-'))}`
  const suffix = `${base64('"}')}.${signature}`
  let count = Date.now() * 1000
  return () => prefix + base64(String(count++).padStart(18, '0')) + suffix
}

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64url')

const mostAnswerBytes = 65_536

interface Client {
  /** The next request's head. */
  readonly ask: () => string
  readonly body: Buffer | undefined
  /** The status of good answers. */
  readonly wanted: 200 | 401
  readonly counted: () => void
  readonly counts: Counts
  /** Says when to ask; without it the client asks again as soon as it is answered. */
  readonly schedule: Schedule | undefined
}

/** Opens a connection that asks for ever. */
function open({ port, tls }: Pick<Job, 'port' | 'tls'>, client: Client): Socket {
  const { ask, body, wanted, counted, counts, schedule } = client
  const fail = (what: string) => {
    counts.wrong++
    counts.firstWrong ??= what.slice(0, 300)
  }
  const send = () => {
    socket.write(ask(), 'latin1')
    if (body) socket.write(body)
  }
  const read = readerOf((status, text) => {
    if (status === wanted) counted()
    else fail(text ?? `answered with ${status}`)
    if (schedule) schedule.isFree(send)
    else send()
  })
  const onread = { buffer: shared, callback: (size: number, bytes: Uint8Array) => read(bytes as Buffer, size) }
  const begin = () => (schedule ? schedule.isFree(send) : send())
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', ...tlsOptions }, begin)
    : connect({ port, host: '127.0.0.1', noDelay: true, onread }, begin)
  if (tls) socket.on('data', (bytes: Buffer) => read(bytes, bytes.length))
  socket.on('error', (error) => fail(`connection failed: ${error.message}`))
  socket.on('end', () => fail('connection closed by the gateway'))
  return socket
}

/** Opens a connection of HTTP/2 that asks for ever. */
function openHttp2({ port }: Job, what: { readonly text: string; readonly streams: number }, counts: Counts): Socket {
  const onTrouble = (trouble: string) => {
    counts.wrong++
    counts.firstWrong ??= trouble
  }
  const onAnswer = (status: number) => {
    if (status === 200) counts.good++
    else onTrouble('answered with something else')
  }
  const onread = { buffer: shared, callback: (size: number, bytes: Uint8Array) => http2.read(bytes as Buffer, size) }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => http2.begin())
  const http2 = speakHttp2(socket, what, { onAnswer, onTrouble })
  socket.on('error', (error) => onTrouble(`connection failed: ${error.message}`))
  socket.on('end', () => onTrouble('connection closed by the gateway'))
  return socket
}

// The same cipher for all, so that it is not what makes the difference.
const tlsOptions = { rejectUnauthorized: false, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const

// What a callback is given is used up before the next one comes, so all connections read into one buffer.
const shared = Buffer.alloc(mostAnswerBytes)

/** Reads answers one after the other, and calls back when each is complete: with its text where it is not a plain 200. */
function readerOf(answered: (status: number, text?: string) => void): (piece: Buffer, size: number) => true {
  let early = ''
  /** Bytes of a long body that are still to come. */
  let left = 0
  return (piece, size) => {
    if (left > 0) {
      left -= size
      if (left <= 0) answered(left === 0 && endsWell(piece, size) ? 200 : 0)
      return true
    }
    // An answer nearly always comes in one piece; what came before the last piece is kept here where it does not.
    if (early === '' && size < mostAnswerBytes && isWholeAnswer(piece, size)) {
      answered(200)
      return true
    }
    early += piece.toString('latin1', 0, size)
    const end = early.indexOf('\r\n\r\n')
    if (end < 0) return true
    const status = Number(early.slice(9, 12))
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(early.slice(0, end + 2))?.[1] ?? 0)
    const missing = end + 4 + length - early.length
    if (missing > 0 && status !== 200) return true
    const text = early
    early = ''
    if (missing > 0) left = missing
    else if (status === 200) answered(missing === 0 && endsWell(piece, size) ? 200 : 0, text)
    else answered(status, text)
    return true
  }
}

/** Whether these bytes begin as a 200 does and end as every body does, with a length that fits. */
function isWholeAnswer(piece: Buffer, size: number): boolean {
  return piece[9] === 0x32 && piece[10] === 0x30 && piece[11] === 0x30 && size < 2048 && endsWell(piece, size)
}

function endsWell(piece: Buffer, size: number): boolean {
  for (let index = 0; index < answerTail.length; index++)
    if (piece[size - answerTail.length + index] !== answerTail[index]) return false
  return true
}

/**
 * Says when requests are sent: so many a second, evenly, whether answers have come or not. A request that finds no connection free
 * waits, and its time runs from when it was due: else a gateway that stalls would only be asked less. What falls due within one
 * millisecond, which is how fine timers are, is sent together.
 */
class Schedule {
  readonly #free: (() => void)[] = []
  readonly #due: number[] = []
  readonly #perMs: number
  readonly #latencies: Latencies
  readonly #timer: NodeJS.Timeout
  #last = performance.now()
  #owed = 0

  constructor(perSecond: number, latencies: Latencies) {
    this.#perMs = perSecond / 1000
    this.#latencies = latencies
    this.#timer = setInterval(() => this.#tick(), 1)
  }

  /** A connection that has nothing to do. */
  isFree(send: () => void): void {
    const since = this.#begun.get(send)
    if (since !== undefined) this.#latencies.add(performance.now() - since)
    this.#begun.delete(send)
    this.#free.push(send)
    this.#sendDue()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#due.length = 0
  }

  readonly #begun = new Map<() => void, number>()

  #tick(): void {
    const now = performance.now()
    this.#owed += (now - this.#last) * this.#perMs
    // A generator that is late itself counts what it should have sent before from then on.
    const dueAt = Math.min(now, this.#last + timerMs)
    this.#last = now
    for (; this.#owed >= 1; this.#owed--) this.#due.push(dueAt)
    this.#sendDue()
  }

  #sendDue(): void {
    while (this.#due.length > 0 && this.#free.length > 0) {
      const send = this.#free.pop() as () => void
      this.#begun.set(send, this.#due.shift() as number)
      send()
    }
  }
}

/** A timer of 1 ms may come that late without anybody's fault. */
const timerMs = 2
