/** The load generator, in a process of its own: keep-alive connections, each with one request under way at a time. */
import { type Socket, connect } from 'node:net'
import { type Distinct, type Flood, type Job, type Outcome, answerBody, requestWith } from './messages.ts'
import { countingFor } from './instructions.ts'
import { idsOfTree, type Usage, usageOf } from './processes.ts'
import { oneOfMany } from './tokens.ts'

process.on('message', (job: Job) => {
  void run(job).then((outcome) => process.send?.(outcome))
})
process.on('disconnect', () => process.exit())

interface Counts {
  good: number
  refused: number
  wrong: number
  firstWrong: string | null
}

async function run(job: Job): Promise<Outcome> {
  const counts: Counts = { good: 0, refused: 0, wrong: 0, firstWrong: null }
  const next = job.distinct && nextOfMany(job.distinct)
  const sockets = Array.from({ length: job.connections }, (_, index) => {
    const request = job.requests[index % job.requests.length] ?? ''
    return open(job.port, next ?? (() => request), 200, () => counts.good++, counts)
  })
  if (job.flood) sockets.push(...openFlood(job.port, job.flood, counts))
  const counting = await countingFor(idsOfTree(job.pid))
  await seconds(job.warmUpSeconds)
  await counting.begin()
  const before = observe(job.pid, counts)
  await seconds(job.seconds)
  const after = observe(job.pid, counts)
  await counting.end()
  for (const socket of sockets) socket.destroy()
  return {
    seconds: after.time - before.time,
    good: after.good - before.good,
    refused: after.refused - before.refused,
    wrong: after.wrong,
    firstWrong: after.firstWrong,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    residentBytesBefore: before.residentBytes,
    residentBytesAfter: after.residentBytes,
    instructions: (await counting.result()) ?? null,
  }
}

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

function openFlood(port: number, flood: Flood, counts: Counts): Socket[] {
  const next = newTokens(flood)
  const request = () => requestWith(flood.path, ['Authorization', `Bearer ${next()}`])
  return Array.from({ length: flood.connections }, () => open(port, request, 401, () => counts.refused++, counts))
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

const tail = Buffer.from(answerBody.slice(-8), 'latin1')
const mostAnswerBytes = 65_536

/** Opens a connection that asks for ever; `count` is called for each answer with the wanted status. */
function open(port: number, request: () => string, status: number, count: () => void, counts: Counts): Socket {
  // An answer nearly always comes in one piece; what came before the last piece is kept here where it does not.
  let early = ''
  const onPiece = (size: number, buffer: Uint8Array): boolean => {
    const piece = buffer as Buffer
    if (early === '' && isWholeAnswer(piece, size)) {
      if (status === 200) count()
      else fail('answered with 200')
      return ask()
    }
    early += piece.toString('latin1', 0, size)
    const answered = statusOfWhole(early)
    if (answered === undefined) return true
    if (answered === status) count()
    else fail(early)
    early = ''
    return ask()
  }
  const fail = (what: string) => {
    counts.wrong++
    counts.firstWrong ??= what.slice(0, 300)
  }
  const ask = () => {
    socket.write(request(), 'latin1')
    return true
  }
  const onread = { buffer: shared, callback: onPiece }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, ask)
  socket.on('error', (error) => fail(`connection failed: ${error.message}`))
  socket.on('end', () => fail('connection closed by the gateway'))
  return socket
}

// What a callback is given is used up before the next one comes, so all connections read into one buffer.
const shared = Buffer.alloc(mostAnswerBytes)

/** Whether these bytes begin as a 200 does and end as the body does: all it takes, since nothing is pipelined. */
function isWholeAnswer(piece: Buffer, size: number): boolean {
  if (piece[9] !== 0x32 || piece[10] !== 0x30 || piece[11] !== 0x30) return false
  for (let index = 0; index < tail.length; index++) if (piece[size - tail.length + index] !== tail[index]) return false
  return true
}

/** The status of an answer that has come completely; undefined while it has not. */
function statusOfWhole(text: string): number | undefined {
  const endOfHead = text.indexOf('\r\n\r\n')
  if (endOfHead === -1) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, endOfHead))?.[1]
  if (text.length < endOfHead + 4 + Number(length ?? 0)) return undefined
  return Number(text.slice(9, 12))
}
