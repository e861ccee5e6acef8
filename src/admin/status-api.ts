/**
 * The Status API: what probes and monitors may ask, and nothing that changes or shows the configuration.
 * Source: Kong's docs, "Health check probes" and `status_listen`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { emptyHash, loadedHash } from '../config/declarative.ts'
import type { Settings } from '../config/settings.ts'
import type { AnsweredRequest, Log } from '../observe/log.ts'
import { prometheusText, prometheusType, type Metric } from '../observe/prometheus.ts'
import type { Store } from '../store/store.ts'
import { message, methodNotAllowed, notFound, unexpected, type Answer } from './answers.ts'
import type { NodeFacts } from './node.ts'
import { statusEndpoint } from './routes/status.ts'
import { send } from './sending.ts'
import { startListening, type RunningAdmin, type ServerTls } from './server.ts'

export interface StatusOptions {
  readonly settings: Settings
  readonly store: Store
  readonly node: NodeFacts
  readonly log: Log
  /** Told of each request answered. */
  readonly onAnswer?: (entry: AnsweredRequest) => void
  /** For each listener, a socket that is listened on already, where there is one. */
  readonly inherited: readonly (number | undefined)[]
  /** The certificate of listeners with `ssl`. */
  readonly tls?: ServerTls
  readonly readiness: () => Readiness
  readonly metrics: () => Promise<readonly Metric[]>
}

export interface Readiness {
  /** Workers by whose configuration requests are served, and how many there should be. */
  readonly ready: number
  readonly wanted: number
  /** No more requests are taken. */
  readonly isDraining: boolean
}

/** Starts the Status API on every listener of `status_listen`. Rejects where one cannot be listened on. */
export function startStatusApi(options: StatusOptions): Promise<RunningAdmin> {
  const { settings, log, tls, node, onAnswer, inherited } = options
  const paths = endpoints(options)
  const common = (latencyMs: number) => ({
    'Access-Control-Allow-Origin': '*',
    'X-Kong-Admin-Latency': String(Math.floor(latencyMs)),
    Server: `gibbon/${node.version}`,
  })
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const begun = performance.now()
    const [path = '', query] = (request.url ?? '').split('?', 2)
    const { method = '' } = request
    const answer = await answerTo(paths.get(path), method, new URLSearchParams(query)).catch((error: unknown) => {
      log.error('the Status API failed to answer', { path, error })
      return unexpected
    })
    const durationMs = performance.now() - begun
    send(request, response, answer, common(durationMs))
    const endpoint = paths.has(path) ? path : undefined
    const client = request.socket.remoteAddress ?? ''
    onAnswer?.({ method, endpoint, status: answer.status, durationMs, client })
  }
  return startListening({
    name: 'the Status API',
    listeners: settings.status_listen,
    inherited,
    log,
    ...(tls && { tls }),
    respond: (request, response) => void respond(request, response),
    unknownMethod: (path) => ({ answer: paths.has(path) ? methodNotAllowed : notFound, headers: common(0) }),
  })
}

type Get = (query: URLSearchParams) => Answer | Promise<Answer>

const answerTo = async (get: Get | undefined, method: string, query: URLSearchParams): Promise<Answer> => {
  if (!get) return notFound
  return method === 'GET' || method === 'HEAD' ? get(query) : methodNotAllowed
}

function endpoints({ settings, store, node, readiness, metrics }: StatusOptions): ReadonlyMap<string, Get> {
  const status = statusEndpoint(store, settings, node).methods.GET!
  return new Map<string, Get>([
    [
      '/status',
      (query) => {
        store.reader.renew()
        return status({ method: 'GET', params: {}, query, body: { kind: 'none', value: {} } })
      },
    ],
    ['/status/ready', () => readyAnswer(readiness(), settings, store)],
    ['/metrics', async () => metricsAnswer(await metrics())],
  ])
}

/** In Kong's words, which probes' logs are searched for. */
function readyAnswer({ ready, wanted, isDraining }: Readiness, { database }: Settings, { reader }: Store): Answer {
  if (isDraining) return message(503, 'shutting down')
  if (ready < wanted)
    return message(503, `router builds not yet complete, router ready on ${ready} of ${wanted} workers`)
  if (database !== 'off') return message(200, 'ready')
  reader.renew()
  return loadedHash(reader) === emptyHash ? message(503, 'empty configuration hash') : message(200, 'ready')
}

const metricsAnswer = (metrics: readonly Metric[]): Answer => ({
  status: 200,
  text: prometheusText(metrics),
  headers: { 'Content-Type': prometheusType, 'Transfer-Encoding': 'chunked' },
})
