/** Clients that ask at a steady pace whatever becomes of the answers, and count what is lost. */
import net from 'node:net'

export interface SteadyOptions<Context> {
  readonly port: number
  readonly perSecond: number
  /** What is asked for. */
  readonly path: string
  /** What is known when a request is sent, for `check`. */
  readonly note: () => Context
  /** What is wrong with an answer's body; undefined where nothing is. */
  readonly check: (body: string, context: Context) => string | undefined
}

export interface Steady {
  readonly sent: number
  readonly answered: number
  readonly connections: number
  /** What became of requests that were not answered as they should be. */
  readonly lost: readonly string[]
  /** In ms, of those answered. */
  readonly latencies: readonly number[]
  /** Sends no more; resolves when everything is answered or lost. */
  stop(): Promise<void>
}

const tickMs = 10
/** Of so many requests one has a connection of its own. */
const freshEvery = 8
/** What is due while so many wait for their answers is asked later: these clients' machine is then the slow one. */
const mostUnderWay = 200
/** An answer that takes longer is lost. */
const patienceMs = 20_000

/** Begins to ask. */
export function steady<Context>(options: SteadyOptions<Context>): Steady {
  const { port, perSecond, path, note, check } = options
  const idle: Client[] = []
  const lost: string[] = []
  const latencies: number[] = []
  let sent = 0
  let answered = 0
  let connections = 0
  const waiting = { count: 0 }
  const begun = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) * perSecond) / 1000
    while (sent < due && waiting.count < mostUnderWay) ask(sent++ % freshEvery === 0)
  }, tickMs)

  function ask(isFresh: boolean): void {
    const client = (isFresh ? undefined : idle.pop()) ?? newClient()
    const context = note()
    const from = performance.now()
    waiting.count++
    client.ask(requestFor(path, isFresh), (outcome) => {
      waiting.count--
      if ('lost' in outcome) {
        lost.push(outcome.lost)
        return
      }
      latencies.push(performance.now() - from)
      const wrong = outcome.status === 200 ? check(outcome.body, context) : `${outcome.status} ${outcome.body}`
      if (wrong === undefined) answered++
      else lost.push(wrong)
      if (outcome.goesOn) idle.push(client)
    })
  }

  function newClient(): Client {
    connections++
    return new Client(port, (client) => {
      const at = idle.indexOf(client)
      if (at >= 0) idle.splice(at, 1)
    })
  }

  return {
    get sent() {
      return sent
    },
    get answered() {
      return answered
    },
    get connections() {
      return connections
    },
    lost,
    latencies,
    async stop() {
      clearInterval(timer)
      for (let left = patienceMs; waiting.count > 0 && left > 0; left -= tickMs)
        await new Promise((resolve) => setTimeout(resolve, tickMs))
      if (waiting.count > 0) lost.push(...Array<string>(waiting.count).fill('no answer'))
      for (const client of idle) client.close()
    },
  }
}

const requestFor = (path: string, isLast: boolean): string =>
  `GET ${path} HTTP/1.1\r\nHost: steady.test\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`

type Outcome = { readonly lost: string } | { readonly status: number; readonly body: string; readonly goesOn: boolean }

/** A connection with one request under way at a time. */
class Client {
  readonly #socket: net.Socket
  #text = ''
  #done: ((outcome: Outcome) => void) | undefined

  constructor(port: number, closed: (client: Client) => void) {
    let reason = 'the connection ended'
    this.#socket = net
      .connect({ port, host: '127.0.0.1', noDelay: true })
      .on('data', (bytes: Buffer) => this.#read(bytes.toString('latin1')))
      .on('error', (error: NodeJS.ErrnoException) => (reason = error.code ?? error.message))
      .on('close', () => {
        closed(this)
        this.#finish({ lost: `${reason}${this.#text === '' ? '' : ' within an answer'}` })
      })
  }

  ask(text: string, done: (outcome: Outcome) => void): void {
    this.#text = ''
    this.#done = done
    this.#socket.write(text)
  }

  #read(text: string): void {
    this.#text += text
    const head = this.#text.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(this.#text)?.[1])
    if (this.#text.length < head + 4 + length) return
    const status = Number(this.#text.slice(9, 12))
    const goesOn = !/\r\nconnection: close\r\n/i.test(this.#text)
    const body = this.#text.slice(head + 4)
    this.#text = ''
    if (!goesOn) this.close()
    this.#finish({ status, body, goesOn })
  }

  #finish(outcome: Outcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }

  close(): void {
    this.#socket.end()
  }
}
