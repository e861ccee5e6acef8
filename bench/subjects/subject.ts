import type { ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { Distinct } from '../messages.ts'
import type { Peer } from '../peers.ts'

export type Header = readonly [name: string, value: string]

const bearer = (token: string): Header => ['Authorization', `Bearer ${token}`]

/** The header with a subject's token. */
export const headerOf = ({ header = bearer }: Subject, token: string): Header => header(token)

/** A gateway with one way of being configured. */
export interface Subject {
  readonly name: string
  /** One line on what it is, with its version. */
  readonly about: string
  /** Why it cannot be run here; undefined where it can. */
  readonly absent: string | undefined
  /** Where it comes from, if from a package registry. */
  readonly peer?: Peer
  /** Whether a request without a token must be refused. */
  readonly checksTokens: boolean
  readonly path: string
  /** Tokens that it accepts. */
  readonly tokens: readonly string[]
  /** The header that a token is sent in; `Authorization: Bearer` where it is not said. */
  readonly header?: (token: string) => Header
  /** Where it is sent many different tokens, each in its turn. */
  readonly distinct?: Omit<Distinct, 'path'>
  /** Starts it in front of the upstream. All its files are in `directory`, which is its own. */
  start(directory: string, upstreamPort: number, how: How): Promise<Running>
}

/** How a gateway is started. */
export interface How {
  readonly workers: number
  /** The cores that it may run on, as `taskset` takes them. */
  readonly cores: string
  /** The files of certificate and key, for a listener that speaks TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** Whether clients speak HTTP/2. */
  readonly http2: boolean
  /** Whether each request is written into a file. */
  readonly accessLog: boolean
}

export interface Running {
  readonly process: ChildProcess
  readonly port: number
}

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
