/**
 * Redis for plugins: one connection for each server that a worker's configs name, made when a command first needs it and given up
 * when none has for a while. The client is loaded then, so that who uses no Redis has none of it in memory.
 */
import { isIP } from 'node:net'
import type { RedisClientType } from '@redis/client'
import type { Log } from './kong.ts'
import { trustedCertificates } from './trust.ts'

/** A server, by the fields of Kong's `redis` record (`schema/redis.ts`). */
export interface RedisServer {
  readonly host: string | null
  readonly port: number | null
  /** In ms. */
  readonly timeout: number | null
  readonly username: string | null
  readonly password: string | null
  readonly database: number | null
  readonly ssl: boolean | null
  readonly ssl_verify: boolean | null
  readonly server_name: string | null
}

export interface Redis {
  /**
   * Sends a command and gives its reply. Rejects within the server's `timeout` where there is none, at once while the server is
   * known to be away, and where the server refuses.
   */
  command(words: readonly string[]): Promise<unknown>
}

/** Tells of a server that is away once, when it is met with first, and once when that has ended. */
export class Absence {
  readonly #missing: string
  #isOver = true

  /** `missing` is what cannot be done meanwhile. */
  constructor(missing: string) {
    this.#missing = missing
  }

  met(log: Pick<Log, 'err'>, error: unknown): void {
    if (this.#isOver) log.err(`${this.#missing}: ${error instanceof Error ? error.message : String(error)}`)
    this.#isOver = false
  }

  ended(log: Pick<Log, 'notice'>): void {
    if (!this.#isOver) log.notice(`no longer: ${this.#missing}`)
    this.#isOver = true
  }
}

/** For how long a server that did not answer is left alone, in ms: twice as long each time, up to the second. */
const [shortestPause, longestPause] = [250, 5000]
/** A connection that nobody has used for so long is closed, in ms. */
const idleMs = 60_000
/** Commands that wait for one server at most. */
const mostWaiting = 1000

const connections = new Map<string, Redis>()

/** The connection of this worker to a server; all who ask for the same server share it. */
export function redisAt(server: RedisServer): Redis {
  const key = JSON.stringify(server)
  let connection = connections.get(key)
  if (connection === undefined) connections.set(key, (connection = connectionTo(server)))
  return connection
}

function connectionTo(server: RedisServer): Redis {
  let client: Promise<RedisClientType> | undefined
  let idle: NodeJS.Timeout | undefined
  let used = 0
  let waiting = 0
  let pause = 0
  let restsUntil = 0

  const drop = (): void => {
    const dropped = client
    client = undefined
    clearInterval(idle)
    dropped?.then(
      (open) => open.isOpen && open.destroy(),
      () => {},
    )
  }
  const rest = (): void => {
    drop()
    pause = Math.min(Math.max(pause * 2, shortestPause), longestPause)
    restsUntil = Date.now() + pause
  }
  const connected = (): Promise<RedisClientType> => {
    if (client) return client
    const made: Promise<RedisClientType> = open(server, () => client === made && drop())
    client = made
    idle = setInterval(() => Date.now() - used >= idleMs && drop(), idleMs).unref()
    return made
  }

  return {
    async command(words) {
      if (Date.now() < restsUntil) throw new Error(`${nameOf(server)} is away`)
      if (waiting >= mostWaiting) throw new Error(`too much waits for ${nameOf(server)}`)
      used = Date.now()
      waiting++
      const connection = connected()
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`${nameOf(server)} does not answer`)), timeoutOf(server))
      try {
        const reply = await Promise.race([sent(connection, words), late.promise])
        pause = 0
        return reply
      } catch (error) {
        // Of all that waited for it one has it rest.
        if (client === connection && !(await isRefusal(error))) rest()
        throw error
      } finally {
        clearTimeout(timer)
        waiting--
      }
    },
  }
}

async function sent(connection: Promise<RedisClientType>, words: readonly string[]): Promise<unknown> {
  const client = await connection.catch((error: Error) => {
    throw new Error(error.message, { cause: error })
  })
  return client.sendCommand([...words])
}

/** Whether Redis answered that it does not do what it is told, over a connection that is good. */
async function isRefusal(error: unknown): Promise<boolean> {
  const { ErrorReply } = await import('@redis/client')
  return error instanceof ErrorReply
}

/** Connects and says who it is; `onEnd` is told when the connection is good no more. */
async function open(server: RedisServer, onEnd: () => void): Promise<RedisClientType> {
  const { createClient } = await import('@redis/client')
  const { host, port, username, password, database, ssl } = server
  const client = createClient({
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    database: database ?? 0,
    // What servers before version 6 speak, too.
    RESP: 2,
    maintNotifications: 'disabled',
    disableClientInfo: true,
    disableOfflineQueue: true,
    socket: {
      host: host ?? '',
      port: port ?? 6379,
      connectTimeout: timeoutOf(server),
      reconnectStrategy: false,
      ...(ssl ? tlsOf(server) : {}),
    },
  })
  // Who waits for the connection, or for a reply, hears of it.
  client.on('error', () => {})
  await client.connect()
  client.on('error', onEnd)
  client.on('end', onEnd)
  return client as unknown as RedisClientType
}

function tlsOf({ host, ssl_verify: verifies, server_name: name }: RedisServer) {
  const ca = trustedCertificates()
  return {
    tls: true as const,
    // RFC 6066 3: an address is no server name.
    servername: name ?? (isIP(host ?? '') === 0 ? (host ?? '') : ''),
    rejectUnauthorized: verifies === true,
    ...(ca !== undefined && { ca }),
  }
}

/** 0 stands for nginx's 60 seconds. */
const timeoutOf = ({ timeout }: RedisServer): number => timeout || 60_000

const nameOf = ({ host, port }: RedisServer): string => `Redis at ${host}:${port}`
