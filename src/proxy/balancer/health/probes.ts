/** One look at a target, to tell whether it would serve: what active checks do. Source: Kong's docs, "Health checks". */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import type { Peer } from '../peer.ts'
import type { ActiveChecks, ProbeType } from './checks.ts'
import type { Outcome } from './count.ts'

/** What a probe shows and trusts in TLS. */
export interface ProbeTls {
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
  /** Trusted certificates; undefined for Node's own. */
  readonly ca: string | undefined
}

/**
 * Looks at a peer; resolves within the checks' timeout, and never rejects. While it looks, `open` holds what gives it up, as after
 * the timeout.
 */
export function probe(peer: Peer, checks: ActiveChecks, own: ProbeTls, open = new Set<() => void>()): Promise<Outcome> {
  return new Promise((resolve) => {
    const giveUp = () => end('timeout')
    const timer = setTimeout(giveUp, checks.timeoutMs)
    const stop = probes[checks.type]({ peer, checks, own, end })
    open.add(giveUp)
    function end(outcome: Outcome): void {
      clearTimeout(timer)
      open.delete(giveUp)
      resolve(outcome)
      // What a probe began is not needed any more, whatever it still had to say.
      queueMicrotask(() => stop())
    }
  })
}

interface Task {
  readonly peer: Peer
  readonly checks: ActiveChecks
  readonly own: ProbeTls
  /** Takes the first outcome; later ones say nothing new. */
  readonly end: (outcome: Outcome) => void
}

/** Each begins a probe and returns what gives it up. */
const probes: Readonly<Record<ProbeType, (task: Task) => () => void>> = {
  tcp: probeTcp,
  http: (task) => probeHttp(task, http, 'http'),
  https: (task) => probeHttp(task, https, 'https'),
  grpc: (task) => probeGrpc(task, 'http'),
  grpcs: (task) => probeGrpc(task, 'https'),
}

/** An answer, but not the one that was asked for. */
const noAnswer = 0

function probeTcp({ peer, end }: Task): () => void {
  const socket = net.connect({ host: peer.address, port: peer.port })
  socket.once('connect', () => end('connected')).on('error', () => end('tcp failure'))
  return () => socket.destroy()
}

function probeHttp({ peer, checks, own, end }: Task, client: typeof http | typeof https, scheme: 'http' | 'https') {
  const request = client.request({
    host: peer.address,
    port: peer.port,
    path: checks.path,
    agent: false,
    headers: headersOf(checks.headers, peer.hostHeaders[scheme]),
    ...(scheme === 'https' ? tlsOptions(peer, checks, own) : {}),
  })
  request.once('response', ({ statusCode }) => end(statusCode ?? noAnswer))
  // What answers, but not in HTTP, is a failure of another kind than what does not answer.
  request.on('error', (error: NodeJS.ErrnoException) => end(error.code?.startsWith('HPE_') ? noAnswer : 'tcp failure'))
  request.end()
  return () => request.destroy()
}

function headersOf(configured: ActiveChecks['headers'], host: string): Record<string, string | string[]> {
  const headers = Object.entries(configured).map(([name, values]) => [name, [...values]] as const)
  const ownHost = headers.some(([name]) => name.toLowerCase() === 'host')
  return { ...(ownHost ? {} : { Host: host }), Connection: 'close', ...Object.fromEntries(headers) }
}

const tlsOptions = (peer: Peer, { serverName, verify }: ActiveChecks, { certificate, ca }: ProbeTls) => ({
  servername: serverName ?? peer.serverName,
  rejectUnauthorized: verify,
  ...(ca === undefined ? {} : { ca }),
  ...certificate,
})

// gRPC's health protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. An empty request asks for the server
// as a whole; field 1 of the response is 1 where it serves. A server that does not know the protocol speaks gRPC all the same.
const emptyMessage = Buffer.alloc(5)
const serving = Buffer.from([8, 1])
const unimplemented = '12'

function probeGrpc({ peer, checks, own, end }: Task, scheme: 'http' | 'https'): () => void {
  const session = http2.connect(`${scheme}://${peer.hostHeaders[scheme]}`, {
    createConnection: () =>
      scheme === 'http'
        ? net.connect({ host: peer.address, port: peer.port })
        : tls.connect({
            host: peer.address,
            port: peer.port,
            ALPNProtocols: ['h2'],
            ...tlsOptions(peer, checks, own),
          }),
  })
  session.on('error', () => end('tcp failure'))
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...Object.fromEntries(Object.entries(checks.headers).map(([name, values]) => [name.toLowerCase(), [...values]])),
  })
  let body = Buffer.alloc(0)
  let status: unknown
  stream.on('response', (headers) => (status = headers['grpc-status']))
  stream.on('trailers', (trailers) => (status = trailers['grpc-status'] ?? status))
  stream.on('data', (bytes: Buffer) => {
    if (body.length < 64) body = Buffer.concat([body, bytes])
  })
  stream.on('error', () => end('tcp failure'))
  stream.on('end', () => {
    const serves = status === '0' && body.subarray(5).equals(serving)
    end(serves || status === unimplemented ? 'connected' : noAnswer)
  })
  stream.end(emptyMessage)
  return () => session.destroy()
}
