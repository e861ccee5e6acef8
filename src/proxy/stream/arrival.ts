/** A connection as it comes: what routes look at, and what the log tells of it. */
import type net from 'node:net'
import { plainAddress } from '../http1/client-connection.ts'
import type { ProxiedPeer } from '../proxy-protocol.ts'
import { nextRequestId } from '../request-id.ts'
import type { RoutingRequest } from '../router/router.ts'
import type { Runtime } from '../runtime.ts'

export interface Arrival extends RoutingRequest {
  readonly id: string
  readonly startMs: number
  /** By what it came: with the hello of a TLS client first, or not. */
  readonly scheme: 'tcp' | 'tls'
  readonly clientIp: string
  readonly clientPort: number
  readonly serverIp: string
  readonly serverPort: number
  readonly rawQuery: string
}

/** The client is whom a PROXY header names where its sender is trusted; the port is the one that clients believe to speak to. */
export function arrivalOf(
  { isTrusted, portMap }: Pick<Runtime, 'isTrusted' | 'portMap'>,
  socket: net.Socket,
  peer: ProxiedPeer | undefined,
): Omit<Arrival, 'scheme' | 'sni'> {
  const remote = { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 }
  const client = peer && isTrusted(remote.address) ? peer : remote
  const port = socket.localPort ?? 0
  return {
    ...noRequest,
    id: nextRequestId(),
    startMs: Date.now(),
    clientIp: client.address,
    clientPort: client.port,
    serverIp: plainAddress(socket.localAddress),
    serverPort: portMap.get(port) ?? port,
  }
}

/** What a stream has not. */
const noRequest = { method: '', host: '', port: 0, path: '', rawQuery: '', header: () => undefined }

/** A server name as routes are compared with: names are alike in any case, and with a dot at the end or not. */
export const comparable = (serverName: string | undefined): string | undefined =>
  serverName?.toLowerCase().replace(/\.$/, '')
