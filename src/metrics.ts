/** The gateway's own figures: kept by each worker, and gathered when somebody asks. */
import { statSync } from 'node:fs'
import type { NodeFacts } from './admin/node.ts'
import type { Logs } from './logs.ts'
import { single, type Metric } from './observe/prometheus.ts'
import type { Store } from './store/store.ts'
import type { WorkerReport, Workers } from './workers.ts'

export interface MetricSources {
  readonly node: NodeFacts
  readonly store: Store
  readonly storeFile: string
  readonly workers: Workers
  readonly logs: Logs
}

/** Gathers them. A worker that is silent for a second is missing among those that are told per worker. */
export async function gatherMetrics(sources: MetricSources): Promise<Metric[]> {
  const { workers, logs } = sources
  const reports = await workers.reports()
  const observed = reports.flatMap((report) => report?.observed ?? [])
  const dropped = reports.reduce((sum, report) => sum + (report?.linesDropped ?? 0), logs.dropped())
  return [
    ...ofNode(sources),
    ...ofTraffic(workers),
    ...ofStreams(workers),
    ...ofStore(sources),
    ...perWorker.map((metric) => ofWorkers(metric, reports)),
    ofObserved(observed, 'refuse', 'Requests that jwt plugins with mode = observe would have refused.'),
    ofObserved(observed, 'admit', 'Requests that jwt plugins with mode = observe would not have refused, as they did.'),
    single('counter', 'gibbon_log_lines_dropped_total', 'Log lines that could not be written fast enough.', dropped),
  ]
}

const startedAt = Date.now() / 1000 - process.uptime()

function ofNode({ node, workers }: MetricSources): Metric[] {
  const { ready, wanted } = workers.readiness()
  const labels = { version: node.version, node_id: node.id, hostname: node.hostname }
  return [
    { name: 'gibbon_info', help: 'What runs here.', type: 'gauge', samples: [{ labels, value: 1 }] },
    single('gauge', 'gibbon_start_time_seconds', 'When the process started, since 1970.', startedAt),
    single('gauge', 'gibbon_workers', 'Workers that should proxy.', wanted),
    single('gauge', 'gibbon_workers_ready', 'Workers that do.', ready),
    single('gauge', 'gibbon_resident_memory_bytes', 'Memory of the whole process.', process.memoryUsage.rss()),
  ]
}

function ofTraffic(workers: Workers): Metric[] {
  const counters = workers.counters()
  const { connections_accepted, connections_handled, connections_active } = counters
  const refused = connections_accepted - connections_handled
  return [
    single('counter', 'gibbon_connections_total', 'Client connections.', connections_accepted),
    single('counter', 'gibbon_connections_refused_total', 'Connections beyond max_connections.', refused),
    single('gauge', 'gibbon_connections_active', 'Client connections that are open.', connections_active),
    {
      name: 'gibbon_requests_total',
      help: 'Proxied requests that are over, by the status of the answer; none where the client left before it.',
      type: 'counter',
      samples: Object.entries(workers.answered()).map(([status, value]) => ({ labels: { status }, value })),
    },
  ]
}

function ofStreams(workers: Workers): Metric[] {
  const { active, received, sent, ended } = workers.streams()
  return [
    single('gauge', 'gibbon_streams_active', 'Streams that are open.', active),
    {
      name: 'gibbon_streams_total',
      help: 'Streams that are over, by their status in the access log.',
      type: 'counter',
      samples: Object.entries(ended).map(([status, value]) => ({ labels: { status }, value })),
    },
    {
      name: 'gibbon_stream_bytes_total',
      help: 'Bytes of streams, from clients and to them.',
      type: 'counter',
      samples: [
        { labels: { direction: 'received' }, value: received },
        { labels: { direction: 'sent' }, value: sent },
      ],
    },
  ]
}

function ofStore({ store, storeFile }: MetricSources): Metric[] {
  const bytes = [storeFile, `${storeFile}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
  return [
    single('gauge', 'gibbon_store_bytes', 'The local store and its write-ahead log on the disk.', bytes),
    single('gauge', 'gibbon_store_revision', 'The newest revision of the configuration.', store.reader.revision),
  ]
}

interface PerWorker {
  readonly name: string
  readonly help: string
  readonly type: Metric['type']
  readonly of: (report: WorkerReport) => number
}

const gauge = (name: string, help: string, of: PerWorker['of']): PerWorker => ({ name, help, type: 'gauge', of })
const count = (name: string, help: string, of: PerWorker['of']): PerWorker => ({ name, help, type: 'counter', of })

const perWorker: readonly PerWorker[] = [
  gauge('gibbon_worker_revision', 'The revision that the worker serves by.', ({ revision }) => revision),
  gauge('gibbon_worker_heap_used_bytes', 'Heap in use.', ({ heapUsed }) => heapUsed),
  gauge('gibbon_worker_heap_bytes', 'Heap altogether.', ({ heapTotal }) => heapTotal),
  gauge('gibbon_worker_external_bytes', 'Memory outside the heap, such as buffers.', ({ external }) => external),
  gauge('gibbon_worker_token_memory_bytes', 'Verified tokens that are remembered.', ({ tokenBytes }) => tokenBytes),
  count('gibbon_worker_token_hits_total', 'Tokens that were remembered.', ({ tokenHits }) => tokenHits),
  count('gibbon_worker_token_misses_total', 'Tokens that had to be verified.', ({ tokenMisses }) => tokenMisses),
  gauge('gibbon_worker_entities', 'Consumers, credentials and the like in memory.', ({ entities }) => entities),
  gauge('gibbon_worker_entity_bytes', 'About how much memory they take.', ({ entityBytes }) => entityBytes),
  count('gibbon_worker_entity_reads_total', 'Reads of the store for one.', ({ entityReads }) => entityReads),
  gauge('gibbon_worker_held_bytes', 'What clients that are waited for make it hold.', ({ heldBytes }) => heldBytes),
  count(
    'gibbon_worker_clients_given_up_total',
    'Clients that were given up for others, by client_buffers_limit.',
    ({ clientsGivenUp }) => clientsGivenUp,
  ),
]

const ofWorkers = ({ of, ...metric }: PerWorker, reports: readonly (WorkerReport | undefined)[]): Metric => ({
  ...metric,
  samples: reports.flatMap((report, index) =>
    report ? [{ labels: { worker: String(index) }, value: of(report) }] : [],
  ),
})

/** Summed over the workers. */
function ofObserved(observed: WorkerReport['observed'], verdict: 'refuse' | 'admit', help: string): Metric {
  const sums = Map.groupBy(
    observed.filter((difference) => difference.verdict === verdict),
    ({ plugin, reason, consumer }) => JSON.stringify([plugin, reason, consumer]),
  )
  return {
    name: `gibbon_jwt_would_${verdict}_total`,
    help,
    type: 'counter',
    samples: [...sums.values()].flatMap((same) => {
      const [first] = same
      if (!first) return []
      const { plugin, reason, consumer } = first
      return [{ labels: { plugin, reason, consumer }, value: same.reduce((sum, { count: more }) => sum + more, 0) }]
    }),
  }
}
