import type net from 'node:net'
import tls from 'node:tls'
import type { Runtime } from '../runtime.ts'
import { createContexts, type ContextTools } from './contexts.ts'

/** What clients are shown that no certificate of the configuration is for, and the key of the tickets by which they resume. */
export interface TlsSetup {
  /** Certificates of different key types, in PEM, and their keys in the same order. */
  readonly cert: readonly string[]
  readonly key: readonly string[]
  /** 48 bytes that all workers share. */
  readonly ticketKeys: Uint8Array
}

export interface TlsServer {
  /** Takes over a connection of which nothing was read, or what was read put back. */
  accept(socket: net.Socket): void
  readonly server: tls.Server
  /** Changes what new connections are shown. */
  set(setup: TlsSetup): void
}

/** Makes a server that shows each client the certificate of its server name in the configuration in force. */
export function createTlsServer(
  runtime: Pick<Runtime, 'config' | 'log' | 'timeouts'>,
  tools: Omit<ContextTools, 'log'>,
  setup: TlsSetup,
): TlsServer {
  const { policy } = tools
  const contextOf = createContexts({ ...tools, log: runtime.log })
  const optionsOf = ({ cert, key, ticketKeys }: TlsSetup): tls.TlsOptions => ({
    ...policy,
    cert: [...cert],
    key: [...key],
    ticketKeys: Buffer.from(ticketKeys),
  })
  const server = tls.createServer({
    ...optionsOf(setup),
    allowHalfOpen: true,
    noDelay: true,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: runtime.timeouts.headMs,
    SNICallback: (name, done) => done(null, contextOf(runtime.config.snapshot, name)),
  })
  server.on('tlsClientError', (error: Error) => runtime.log.info(`TLS handshake failed: ${error.message}`))
  return {
    server,
    accept: (socket) => void server.emit('connection', socket),
    set: (next) => server.setSecureContext(optionsOf(next)),
  }
}
