/** Speaking TLS to upstreams, as services ask for it. */
import net from 'node:net'
import tls from 'node:tls'
import type { Log } from '../observe/log.ts'
import type { Peer } from './balancer/peer.ts'
import { type SocketEvents, watch } from './http1/socket.ts'
import type { UpstreamTls } from './service-plan.ts'

export interface SecureSettings {
  /** Certificates that upstreams are verified with where a service names none; undefined for Node's own. */
  readonly ca: string | undefined
  readonly log: Pick<Log, 'error' | 'warn'>
}

/** Connects to a peer with TLS; `name` is asked for in the handshake. A failure is logged, and closes the socket. */
export type ConnectSecure = (
  peer: Peer,
  how: UpstreamTls,
  name: string,
  events: SocketEvents,
  options?: SecureOptions,
) => net.Socket

export interface SecureOptions extends Pick<tls.ConnectionOptions, 'ALPNProtocols' | 'session'> {
  readonly allowHalfOpen?: boolean
  /** Told that the handshake has failed. */
  readonly failed?: () => void
}

export function secureConnector({ ca, log }: SecureSettings): ConnectSecure {
  const contexts = new WeakMap<UpstreamTls, tls.SecureContext | undefined>()

  /** The certificates of a way to speak TLS, read once; undefined where they are not usable. */
  function contextOf(how: UpstreamTls): tls.SecureContext | undefined {
    if (contexts.has(how)) return contexts.get(how)
    let context: tls.SecureContext | undefined
    try {
      context = tls.createSecureContext({
        ...(how.ca?.length ? { ca: [...how.ca] } : ca === undefined ? {} : { ca }),
        ...(how.certificate ? { cert: [...how.certificate.cert], key: [...how.certificate.key] } : {}),
      })
    } catch (error) {
      log.error(`a service's certificates cannot be used: ${(error as Error).message}`)
    }
    contexts.set(how, context)
    return context
  }

  return (peer, how, name, events, { failed, ...options } = {}) => {
    const secureContext = contextOf(how)
    if (secureContext === undefined) return watch(new net.Socket().destroy(), events)
    const socket = tls.connect({
      host: peer.address,
      port: peer.port,
      servername: name,
      secureContext,
      rejectUnauthorized: how.verify ?? false,
      ...options,
    })
    socket.setNoDelay(true)
    const tell = (error: Error) => {
      failed?.()
      log.warn(`no TLS with ${peer.address}:${peer.port} (${name}): ${error.message}`)
    }
    socket.on('error', tell)
    // Node sends what was written meanwhile only after this event's listeners have run.
    socket.once('secureConnect', () => {
      if (how.verify && chainLength(socket) - 2 > (how.depth ?? Infinity))
        socket.destroy(new Error('the certificate chain is longer than tls_verify_depth'))
      else socket.off('error', tell)
    })
    return watch(socket, events)
  }
}

/** How many certificates the peer's chain has, its own and the trusted one included. */
function chainLength(socket: tls.TLSSocket): number {
  let length = 0
  let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (certificate?.raw && length < 100) {
    length++
    const issuer: tls.DetailedPeerCertificate | undefined = certificate.issuerCertificate
    certificate = issuer === certificate ? undefined : issuer
  }
  return length
}
