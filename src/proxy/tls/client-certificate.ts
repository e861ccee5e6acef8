import type net from 'node:net'
import { TLSSocket } from 'node:tls'

/** By connection, read when it is first asked for. */
const certificates = new WeakMap<net.Socket, Buffer | null>()

/** The certificate (DER) that a client showed in its handshake; the same buffer for all requests of a connection. */
export function clientCertificate(socket: net.Socket): Buffer | undefined {
  let certificate = certificates.get(socket)
  if (certificate === undefined) {
    certificate = (socket instanceof TLSSocket && socket.getPeerCertificate().raw) || null
    certificates.set(socket, certificate)
  }
  return certificate ?? undefined
}
