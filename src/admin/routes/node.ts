import { maskedSettings, type Listener, type Settings, type StreamListener } from '../../config/settings.ts'
import type { Store } from '../../store/store.ts'
import { message, noContent, notFound, ok } from '../answers.ts'
import type { Log } from '../../observe/log.ts'
import type { NodeFacts } from '../node.ts'
import type { Context, Endpoint } from '../types.ts'
import { logLevelEndpoints } from './log-level.ts'
import { statusEndpoint } from './status.ts'
import { trafficEndpoint } from './traffic.ts'

/** The version of Kong whose Admin API this is; clients choose their behaviour by it. */
const KONG_VERSION = '3.10.0'

/** Where what the node says comes from. */
export interface NodeOptions {
  readonly settings: Settings
  readonly node: NodeFacts
  readonly log: Log
}

/** What the node says of itself: `/`, `/status`, `/timers`, its log level, and what a node of this role does not do. */
export function nodeEndpoints(context: Context, { settings, node, log }: NodeOptions): Endpoint[] {
  const { store } = context
  const enabled = pluginsInUse(store)
  return [
    { path: '/', methods: { GET: () => ok(nodeDocument(context, settings, node, enabled())) } },
    statusEndpoint(store, settings, node),
    trafficEndpoint(node),
    { path: '/status/dns', methods: { GET: () => message(501, 'not implemented with the legacy DNS client') } },
    { path: '/timers', methods: { GET: () => ok(timersDocument(node)) } },
    ...logLevelEndpoints(context, log),
    ...absentFeatures,
  ]
}

function nodeDocument(
  context: Context,
  settings: Settings,
  node: NodeFacts,
  enabledInCluster: readonly string[],
): unknown {
  return {
    version: KONG_VERSION,
    edition: 'community',
    tagline: 'Welcome to kong',
    hostname: node.hostname,
    node_id: node.id,
    lua_version: `none (Node.js ${process.versions.node})`,
    pids: { master: process.pid, workers: node.workers().pids },
    timers: { running: 0, pending: 0 },
    configuration: configurationDocument(context, settings, node),
    plugins: {
      available_on_server: Object.fromEntries(node.plugins),
      enabled_in_cluster: enabledInCluster,
    },
  }
}

/** Clients know two words for the database, and read both as what may be written: `postgres` entity by entity, `off` not. */
const databaseWord = ({ database }: Settings): 'off' | 'postgres' => (database === 'off' ? 'off' : 'postgres')

function configurationDocument({ pluginSchemas, store }: Context, settings: Settings, node: NodeFacts): unknown {
  return {
    ...maskedSettings(settings),
    database: databaseWord(settings),
    router_flavor: settings.router_flavor === 'expressions' ? 'expressions' : 'traditional_compatible',
    role: 'traditional',
    loaded_plugins: Object.fromEntries([...pluginSchemas.keys()].map((name) => [name, true])),
    proxy_listeners: settings.proxy_listen.map(listenerDocument),
    admin_listeners: settings.admin_listen.map(listenerDocument),
    stream_listeners: settings.stream_listen.length > 0 ? settings.stream_listen.map(listenerDocument) : {},
    gibbon: {
      version: node.version,
      database: settings.database,
      revision: store.reader.revision,
      workers: node.workers().count,
    },
  }
}

const listenerDocument = ({ backlog, ...listener }: Listener | StreamListener): unknown => ({
  ...listener,
  'backlog=%d+': backlog !== undefined,
})

const timersDocument = (node: NodeFacts): unknown => ({
  worker: { id: 0, count: node.workers().count },
  stats: { flamegraph: {}, sys: { running: 0, pending: 0, waiting: 0, total: 0, runs: 0 }, timers: {} },
})

/** The names of all plugins configured, computed once a revision. */
function pluginsInUse({ reader }: Store): () => readonly string[] {
  let names: readonly string[] = []
  let revision = -1
  return () => {
    if (reader.revision === revision) return names
    revision = reader.revision
    names = [...new Set([...reader.all('plugins')].map((plugin) => String(plugin['name'])))].sort()
    return names
  }
}

const onlyControlPlane = message(
  400,
  'this endpoint is only available when Kong is configured to run as Control Plane for the cluster',
)
const metricsElsewhere = message(404, 'metrics are served at /metrics of the status listener (status_listen)')

/** Paths that exist in every Kong and tell that the feature behind them is not in use. */
const absentFeatures: readonly Endpoint[] = [
  { path: '/clustering/data-planes', methods: { GET: () => onlyControlPlane } },
  { path: '/clustering/status', methods: { GET: () => onlyControlPlane } },
  { path: '/cache', methods: { DELETE: () => noContent } },
  { path: '/cache/{key}', methods: { GET: () => notFound, DELETE: () => noContent } },
  { path: '/metrics', methods: { GET: () => metricsElsewhere } },
]
