/** The access log of streams: a line for each connection that is over. */
import type { LogFile } from './log-file.ts'
import { isText, timestamp, type LogOptions } from './log.ts'

export interface StreamEntry {
  /** When the connection was accepted, in ms since 1970. */
  readonly startMs: number
  readonly id: string
  readonly client: string
  /** What became of it: `tcp`, `tls`, `tls_passthrough`, or that it came by one of the first two and was refused. */
  readonly protocol: string
  /** The server name that the client asked for. */
  readonly serverName: string | undefined
  /** As nginx has it: 200, 400 (no TLS where it was due), 500 (no route), 502 (no upstream), 503 (nothing to send it to). */
  readonly status: number
  /** Why it ended, where that was not its two ends' own will. */
  readonly reason: string | undefined
  /** Bytes to and from the client. */
  readonly sent: number
  readonly received: number
  readonly totalMs: number
  /** The address and port of who it was sent to. */
  readonly upstream: string | undefined
  readonly route: string | undefined
  readonly service: string | undefined
}

/** Makes the function that turns a connection into its line. Its texts come from parsers that let no control character through. */
export function streamLineMaker(format: LogOptions['format'], file: LogFile): (entry: StreamEntry) => string {
  return isText(format, file) ? asText : asJson
}

function asJson({ startMs, id, serverName, sent, received, totalMs, ...rest }: StreamEntry): string {
  const { client, protocol, status, reason, upstream, route, service } = rest
  return `${JSON.stringify({
    time: timestamp(startMs),
    stream_id: id,
    client,
    protocol,
    sni: serverName,
    status,
    reason,
    bytes_sent: sent,
    bytes_received: received,
    ms: totalMs,
    upstream,
    route,
    service,
  })}\n`
}

function asText(entry: StreamEntry): string {
  const { startMs, id, client, protocol, serverName, status, reason, sent, received, totalMs, upstream } = entry
  const name = serverName === undefined ? '' : ` ${serverName}`
  const to = upstream === undefined ? '' : ` upstream=${upstream}`
  const why = reason === undefined ? '' : ` (${reason})`
  return `${timestamp(startMs)} ${client} ${protocol}${name} ${status}${why} ${sent}B sent ${received}B received ${totalMs}ms${to} ${id}\n`
}
