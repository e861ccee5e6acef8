import type net from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { readBeginning } from '../beginning.ts'
import type { Timed } from '../deadlines.ts'
import type { Runtime } from '../runtime.ts'
import { readClientHello } from './client-hello.ts'
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
  /** Shakes hands on a connection of which nothing was read, or what was read put back; `done` gets what is spoken through. */
  accept(socket: net.Socket, done: (secure: TLSSocket) => void): void
  /** The same where the server name is known already, and what is spoken inside of TLS is nobody's business. */
  terminate(socket: net.Socket, serverName: string | undefined, done: (secure: TLSSocket) => void): void
  /** Changes what new connections are shown. */
  set(setup: TlsSetup): void
}

export type TlsTools = Pick<ContextTools, 'policy' | 'withSecrets'>

/**
 * Makes a server that shows each client the certificate of its server name in the configuration in force, and speaks the first of
 * `protocols` (names of ALPN) that the client knows.
 */
export function createTlsServer(
  runtime: Pick<Runtime, 'config' | 'log' | 'timeouts' | 'deadlines'>,
  tools: TlsTools,
  setup: TlsSetup,
  protocols: readonly string[] = ['http/1.1'],
): TlsServer {
  let contexts = contextsOf(setup)
  function contextsOf({ cert, key, ticketKeys }: TlsSetup) {
    const policy = { ...tools.policy, ticketKeys: Buffer.from(ticketKeys) }
    return {
      byName: createContexts({ ...tools, policy, log: runtime.log }),
      usual: createSecureContext({ ...policy, cert: [...cert], key: [...key] }),
    }
  }
  const contextFor = (serverName: string | undefined) =>
    (serverName === undefined ? undefined : contexts.byName(runtime.config.snapshot, serverName)) ?? contexts.usual
  return {
    accept: (socket, done) => {
      readBeginning(runtime, socket, readClientHello, ({ serverName }) => {
        const secureContext = contextFor(serverName)
        const secure = new TLSSocket(socket, {
          isServer: true,
          secureContext,
          ALPNProtocols: [...protocols],
          // Whether one is needed, and which, the plugins say that look at it.
          requestCert: runtime.config.chains.asking.size > 0,
          rejectUnauthorized: false,
        })
        shakeHands(runtime, secure, done)
      })
    },
    terminate: (socket, serverName, done) => {
      const secureContext = contextFor(serverName)
      shakeHands(runtime, new TLSSocket(socket, { isServer: true, secureContext }), done)
    },
    set: (next) => void (contexts = contextsOf(next)),
  }
}

function shakeHands(
  { log, timeouts, deadlines }: Pick<Runtime, 'log' | 'timeouts' | 'deadlines'>,
  secure: TLSSocket,
  done: (secure: TLSSocket) => void,
): void {
  const late: Timed = {
    deadline: Date.now() + timeouts.headMs,
    onDeadline: () => void secure.destroy(),
  }
  const failed = (error: Error): void => log.info(`TLS handshake failed: ${error.message}`)
  deadlines.add(late)
  secure.once('error', failed)
  secure.once('close', () => deadlines.delete(late))
  secure.once('secure', () => {
    deadlines.delete(late)
    secure.off('error', failed)
    // Of a socket that no `tls.Server` has made Node tells by this event alone that a record cannot be read; it is not documented.
    secure.on('_tlsError', () => secure.destroy())
    done(secure)
  })
}
