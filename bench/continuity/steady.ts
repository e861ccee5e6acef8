/** Clients that ask at a steady pace whatever becomes of the answers, and count what is lost. */
import { connect, type Connection, type Protocol, protocols } from './connections.ts'

export interface SteadyOptions<Context> {
  /** Where each protocol is spoken; those that are given are asked in turn. */
  readonly ports: Readonly<Partial<Record<Protocol, number>>>
  readonly perSecond: number
  /** What is asked for. */
  readonly path: string
  /** What is known when a request is sent or a connection is made, for `check` and `checkCertificate`. */
  readonly note: () => Context
  /** What is wrong with an answer's body; undefined where nothing is. */
  readonly check: (body: string, context: Context) => string | undefined
  /** What is wrong with the certificate that was shown, by its common name; undefined where nothing is. */
  readonly checkCertificate?: (commonName: string, context: Context) => string | undefined
}

export interface SteadyCounts {
  readonly sent: number
  readonly answered: number
  /** Those that are under way. */
  readonly waiting: number
  /** Answers by protocol. */
  readonly answeredOver: Readonly<Partial<Record<Protocol, number>>>
  /** How often a request was sent again, since the gateway had not taken it. */
  readonly askedAgain: number
  readonly connections: number
  readonly handshakes: number
  /** What became of requests that were not answered as they should be, and of handshakes with another certificate. */
  readonly lost: string[]
  /** In ms, of those answered. */
  readonly latencies: readonly number[]
}

export interface Steady {
  readonly counts: SteadyCounts
  /** Sends no more; resolves when everything is answered or lost. */
  readonly stop: () => Promise<void>
}

const tickMs = 10
/** Of so many requests one has a connection of its own. */
const freshEvery = 8
/** What is due while so many wait for their answers is asked later: these clients' machine is then the slow one. */
const mostUnderWay = 200
/** An answer that takes longer is lost. */
const patienceMs = 20_000
/** A request that is not taken by so many connections is lost. */
const mostTries = 5

/** Begins to ask. */
export function steady<Context>(options: SteadyOptions<Context>): Steady {
  const { ports, perSecond, path, note, check, checkCertificate } = options
  const spoken = protocols.filter((protocol) => ports[protocol] !== undefined)
  const kept = new Map(spoken.map((protocol) => [protocol, new Set<Connection>()]))
  const counts = {
    sent: 0,
    waiting: 0,
    answered: 0,
    answeredOver: Object.fromEntries(spoken.map((protocol) => [protocol, 0])) as Record<Protocol, number>,
    askedAgain: 0,
    connections: 0,
    handshakes: 0,
    lost: [] as string[],
    latencies: [] as number[],
  }
  const begun = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) * perSecond) / 1000
    while (counts.sent < due && counts.waiting < mostUnderWay) {
      const turn = counts.sent++
      const protocol = spoken[turn % spoken.length]!
      counts.waiting++
      ask(protocol, Math.floor(turn / spoken.length) % freshEvery === 0, note(), performance.now(), mostTries)
    }
  }, tickMs)

  function ask(protocol: Protocol, isFresh: boolean, context: Context, from: number, tries: number): void {
    const connection = isFresh ? open(protocol) : keptOne(protocol)
    connection.ask(path, isFresh, (outcome) => {
      if (typeof outcome === 'string' && tries > 1) {
        if (outcome === 'untaken') counts.askedAgain++
        return ask(protocol, isFresh, context, from, tries - 1)
      }
      counts.waiting--
      if (typeof outcome === 'string') return void counts.lost.push(`${protocol}: ${outcome}`)
      if ('lost' in outcome) return void counts.lost.push(`${protocol}: ${outcome.lost}`)
      counts.latencies.push(performance.now() - from)
      const { status, body } = outcome
      const wrong = status === 200 ? check(body, context) : `${status} ${body}`
      if (wrong !== undefined) return void counts.lost.push(`${protocol}: ${wrong}`)
      counts.answered++
      counts.answeredOver[protocol]++
    })
  }

  /** A connection that can take a request, made where there is none. */
  function keptOne(protocol: Protocol): Connection {
    for (const connection of kept.get(protocol) ?? []) if (connection.isFree) return connection
    const made = open(protocol, () => kept.get(protocol)?.delete(made))
    kept.get(protocol)?.add(made)
    return made
  }

  function open(protocol: Protocol, onClose = (): void => {}): Connection {
    const context = note()
    counts.connections++
    return connect[protocol](ports[protocol]!, {
      onClose,
      onHandshake: (commonName) => {
        counts.handshakes++
        const wrong = checkCertificate?.(commonName, context)
        if (wrong !== undefined) counts.lost.push(`${protocol}: ${wrong}`)
      },
    })
  }

  async function stop(): Promise<void> {
    clearInterval(timer)
    for (let left = patienceMs; counts.waiting > 0 && left > 0; left -= tickMs)
      await new Promise((resolve) => setTimeout(resolve, tickMs))
    if (counts.waiting > 0) counts.lost.push(...Array<string>(counts.waiting).fill('no answer'))
    for (const connections of kept.values()) for (const connection of connections) connection.close()
  }

  return { counts, stop }
}
