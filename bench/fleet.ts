/** The gateways of a run: starting them, and looking whether they do their work. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { request } from 'node:https'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../src/config/self-signed.ts'
import { answerBody } from './messages.ts'
import { absence, type Peer } from './peers.ts'
import { stop } from './processes.ts'
import { coresOf, type Row } from './rows.ts'
import { headerOf, type How, type Running, type Subject } from './subjects/subject.ts'

export interface FleetOptions {
  /** Where the gateways' files go. */
  readonly directory: string
  readonly upstreamPort: number
  /** Whether peers that are missing are installed. */
  readonly install: boolean
  readonly say: (line: string) => void
}

/** What a gateway is started by. */
type Started = Pick<Row, 'subject' | 'tls' | 'http2' | 'allCores' | 'accessLog'>

export interface Ready {
  readonly row: Row
  readonly running: Running
}

/** The gateways of a run, each started once for each way of starting it. */
export class Fleet {
  readonly #options: FleetOptions
  readonly #running = new Map<string, Running | undefined>()
  readonly #absences = new Map<Peer, string | undefined>()
  #certificate: How['tls']

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** The rows whose gateways could be started. */
  async ready(wanted: readonly Row[]): Promise<readonly Ready[]> {
    const ready: Ready[] = []
    for (const row of wanted) {
      const running = await this.start(row)
      if (running) ready.push({ row, running })
    }
    return ready
  }

  /** Starts the gateway of a row, unless it runs already or is not there. */
  async start(row: Started): Promise<Running | undefined> {
    const { subject, tls, http2, allCores, accessLog } = row
    const ways = [tls && 'TLS', http2 && 'HTTP/2', allCores && 'all cores', accessLog && 'access log']
    const key = [subject.name, ...ways.filter((way) => way !== false)].join(', ')
    if (this.#running.has(key)) return this.#running.get(key)
    const why = subject.absent ?? this.#absenceOf(subject.peer)
    if (why !== undefined) this.#options.say(`skipped: ${key}: ${why}`)
    const running = why === undefined ? await this.#startOne(key, row) : undefined
    this.#running.set(key, running)
    return running
  }

  async #startOne(key: string, { subject, tls, http2, allCores, accessLog }: Started): Promise<Running> {
    const own = mkdtempSync(join(this.#options.directory, 'subject-'))
    const workers = allCores ? availableParallelism() : 1
    const how = { workers, cores: coresOf({ allCores }), tls: tls ? this.#tls() : undefined, http2, accessLog }
    const running = await subject.start(own, this.#options.upstreamPort, how)
    try {
      await waitUntilListening(key, running, how)
      await verify(key, subject, running, how)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${lastLines(own)}`, { cause: error })
    }
    this.#options.say(`started: ${key}: ${subject.about}`)
    return running
  }

  #absenceOf(peer: Peer | undefined): string | undefined {
    if (peer && !this.#absences.has(peer)) this.#absences.set(peer, absence(peer, this.#options.install))
    return peer && this.#absences.get(peer)
  }

  #tls(): How['tls'] {
    if (this.#certificate) return this.#certificate
    const { cert, key } = makeCertificate(['localhost'], Date.now())
    this.#certificate = {
      cert: join(this.#options.directory, 'cert.pem'),
      key: join(this.#options.directory, 'key.pem'),
    }
    writeFileSync(this.#certificate.cert, cert)
    writeFileSync(this.#certificate.key, key)
    return this.#certificate
  }

  async stop(): Promise<void> {
    for (const running of this.#running.values()) if (running) await stop(running.process)
  }
}

/** What a gateway that would not start wrote last. */
function lastLines(directory: string): string {
  const logs = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return logs.map((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(-10).join('\n')).join('\n')
}

async function waitUntilListening(name: string, { process: child, port }: Running, how: How): Promise<void> {
  for (let tries = 0; tries < 6000; tries++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode} while starting`)
    if (await ask(port, '/', how).catch(() => undefined)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} does not listen after five minutes`)
}

interface Asked {
  readonly status: number
  readonly body: string
}

async function ask(
  port: number,
  path: string,
  { tls, http2 }: How,
  headers: Record<string, string> = {},
): Promise<Asked> {
  if (http2) return askHttp2(port, path, headers)
  if (!tls) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    return { status: answer.status, body: await answer.text() }
  }
  const sent = request({ port, host: '127.0.0.1', path, headers, rejectUnauthorized: false, agent: false }).end()
  const [answer] = (await once(sent, 'response')) as [NodeJS.ReadableStream & { statusCode: number }]
  let body = ''
  for await (const piece of answer) body += String(piece)
  return { status: answer.statusCode, body }
}

async function askHttp2(port: number, path: string, headers: Record<string, string>): Promise<Asked> {
  const session = connect(`http://127.0.0.1:${port}`)
  try {
    const stream = session.on('error', () => {}).request({ ':path': path, ...headers })
    const [answer] = (await once(stream, 'response')) as [{ ':status': number }]
    let body = ''
    for await (const piece of stream) body += String(piece)
    return { status: answer[':status'], body }
  } finally {
    session.destroy()
  }
}

/** A figure is worth something only where the gateway did its work: the right body with a token, a refusal without one. */
async function verify(name: string, subject: Subject, { port }: Running, how: How): Promise<void> {
  for (const token of subject.tokens) {
    const { status, body } = await ask(port, subject.path, how, Object.fromEntries([headerOf(subject, token)]))
    if (status !== 200 || body !== answerBody) throw new Error(`${name} answers ${status} ${body}`)
  }
  const { status } = await ask(port, subject.path, how)
  const wanted = subject.checksTokens ? 401 : 200
  if (status !== wanted) throw new Error(`${name} answers ${status} without a token, not ${wanted}`)
}
