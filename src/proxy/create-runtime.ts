/** What a worker's connections share, made from the settings. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../config/settings.ts'
import { RouteTally } from '../observe/traffic.ts'
import { errorShape, type ErrorShape, shapeError } from '../pdk/error-shape.ts'
import { formOf } from './answers.ts'
import { createDeadlines } from './deadlines.ts'
import { HeldBytes } from './held-bytes.ts'
import { createPools } from './pools.ts'
import { addressSet } from './real-ip.ts'
import type { Runtime, SentHeaders } from './runtime.ts'
import { SpoolSpace } from './spool.ts'

/** What a runtime has that does not follow from the settings. */
export type RuntimeParts = Pick<Runtime, 'config' | 'entities' | 'log' | 'accessLog' | 'product' | 'stats'>

export function createRuntime(settings: Settings, parts: RuntimeParts): Runtime {
  const deadlines = createDeadlines()
  const upstreamHeadLimits = {
    headBytes: settings.response_head_bytes,
    lineBytes: settings.response_head_bytes,
    headers: 1000,
  }
  return {
    ...parts,
    deadlines,
    pools: createPools({
      size: settings.upstream_keepalive_pool_size,
      maxRequests: settings.upstream_keepalive_max_requests,
      idleMs: settings.upstream_keepalive_idle_timeout || Infinity,
      headLimits: upstreamHeadLimits,
      deadlines,
      ca: trustedCertificates(settings),
      log: parts.log,
    }),
    headers: sentHeaders(settings),
    headLimits: {
      headBytes: settings.request_head_bytes,
      lineBytes: settings.request_line_bytes,
      headers: settings.lua_max_req_headers,
    },
    upstreamHeadLimits,
    timeouts: {
      headMs: settings.client_header_timeout,
      bodyMs: settings.client_body_timeout,
      keepAliveMs: settings.keepalive_timeout,
      sendMs: settings.send_timeout,
    },
    maxBodyBytes: settings.client_max_body_size,
    bodyBufferBytes: settings.client_body_buffer_size,
    maxConnections: settings.max_connections,
    held: new HeldBytes(settings.client_buffers_limit / settings.nginx_worker_processes),
    spools: new SpoolSpace({
      folder: join(settings.prefix, 'proxy_temp'),
      mostOfOne: settings.proxy_max_temp_file_size,
      mostOfAll: settings.temp_files_limit / settings.nginx_worker_processes,
    }),
    maxRequestsPerConnection: settings.keepalive_requests,
    http2: {
      maxStreams: settings.http2_max_concurrent_streams,
      bodyBytes: settings.http2_body_buffer_size,
      lifetimeMs: settings.http2_connection_time,
    },
    openStreams: 0,
    errorForm: formOf[settings.error_default_type] ?? 'plain',
    errorShape: errorShapeOf(settings),
    portMap: new Map(settings.port_maps.map(({ outside, listening }) => [listening, outside])),
    isTrusted: addressSet(settings.trusted_ips),
    realIpHeader: settings.real_ip_header.toLowerCase(),
    realIpRecursive: settings.real_ip_recursive,
    requestDebug: requestDebugOf(settings),
    unrouted: new RouteTally(),
    draining: false,
  }
}

/** Without a token nobody elsewhere may debug: then one has been made before this is called. */
function requestDebugOf(settings: Settings): Runtime['requestDebug'] {
  const { request_debug, request_debug_token: token, server_timing: serverTiming } = settings
  return request_debug && token !== undefined ? { token, serverTiming } : undefined
}

function sentHeaders(settings: Settings): SentHeaders {
  const sent = new Set<string>(settings.headers)
  const upstream = new Set<string>(settings.headers_upstream)
  return {
    server: sent.has('server'),
    via: sent.has('via'),
    proxyLatency: sent.has('x-kong-proxy-latency'),
    upstreamLatency: sent.has('x-kong-upstream-latency'),
    responseLatency: sent.has('x-kong-response-latency'),
    upstreamStatus: sent.has('x-kong-upstream-status'),
    requestId: sent.has('x-kong-request-id'),
    upstreamRequestId: upstream.has('x-kong-request-id'),
  }
}

/** What the settings want refusals to look like. Throws, with the reason, where that cannot be. */
export function errorShapeOf({
  error_format: format,
  error_template: file,
  error_content_type: contentType,
}: Pick<Settings, 'error_format' | 'error_template' | 'error_content_type'>): ErrorShape | undefined {
  if (format === 'kong') return undefined
  const options = { format, contentType, template: file === undefined ? undefined : readFileSync(file, 'utf8') }
  const error = shapeError(options)
  if (error !== undefined) throw new Error(`error_format: ${error}`)
  return errorShape(options)
}

/** Certificates from files, for upstreams that are to be verified; undefined where Node's own are enough. */
export function trustedCertificates({ lua_ssl_trusted_certificate: files }: Settings): string | undefined {
  const own = files.filter((file) => file !== 'system')
  return own.length === 0 ? undefined : own.map((file) => readFileSync(file, 'utf8')).join('\n')
}
