import { loadedHash } from '../../config/declarative.ts'
import type { Settings } from '../../config/settings.ts'
import type { Store } from '../../store/store.ts'
import { message, ok, type Answer } from '../answers.ts'
import type { NodeFacts } from '../node.ts'
import { luaNumber } from '../query.ts'
import type { Endpoint } from '../types.ts'

/** `GET /status`: connections, memory, and where the configuration comes from; `unit` and `scale` say how memory is written. */
export const statusEndpoint = (store: Store, settings: Settings, node: NodeFacts): Endpoint => ({
  path: '/status',
  methods: { GET: ({ query }) => status(query, store, settings, node) },
})

/** Writes bytes in a unit. */
type Written = (bytes: number) => string | number

function status(query: URLSearchParams, store: Store, settings: Settings, node: NodeFacts): Answer {
  const written = writer(query.get('unit') ?? 'm', luaNumber(query.get('scale') ?? '') ?? 2)
  if (typeof written === 'string') return message(400, written)
  const source =
    settings.database === 'off'
      ? { configuration_hash: loadedHash(store.reader) }
      : { database: { reachable: store.reachable() } }
  return ok({ ...source, server: node.counters(), memory: memoryDocument(written) })
}

const powers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3 }

/** How a unit is written with so many decimals, or what is wrong with either. */
function writer(unit: string, scale: number): Written | string {
  const letter = unit.toLowerCase()
  if (letter === '' || letter === 'b') return (bytes) => bytes
  if (scale < 0) return 'scale must be equal or greater than 0'
  if (scale > 99) return 'scale must be at most 99'
  const power = Object.hasOwn(powers, letter) ? powers[letter] : undefined
  if (power === undefined) return `invalid unit '${unit}' (expected 'k/K', 'm/M', or 'g/G')`
  return (bytes) => `${(bytes / 1024 ** power).toFixed(Math.floor(scale))} ${letter.toUpperCase()}iB`
}

/** The memory that Kong's workers share, by name. */
const sharedDictionaries = [
  'kong',
  'kong_cluster_events',
  'kong_core_db_cache',
  'kong_core_db_cache_miss',
  'kong_db_cache',
  'kong_db_cache_miss',
  'kong_healthchecks',
  'kong_locks',
  'kong_rate_limiting_counters',
  'kong_secrets',
  'prometheus_metrics',
]

/**
 * There is no Lua here: the heap of this process stands where dashboards look for the workers' memory, and of the
 * dictionaries that Kong reserves none takes any.
 */
function memoryDocument(written: Written): unknown {
  const none = { capacity: written(0), allocated_slabs: written(0) }
  return {
    workers_lua_vms: [{ pid: process.pid, http_allocated_gc: written(process.memoryUsage().heapUsed) }],
    lua_shared_dicts: Object.fromEntries(sharedDictionaries.map((name) => [name, none])),
  }
}
