/** What a worker's tables cost: built from scratch and after one change, and what looking a credential up takes. */
import { kinds } from '../src/config/kinds.ts'
import { renewSnapshot, takeSnapshot } from '../src/config/snapshot.ts'
import { bundledPlugins } from '../src/plugins/index.ts'
import { compile, type PlanTools } from '../src/proxy/plan.ts'
import { indexesOf } from '../src/store/kinds.ts'
import { localEntities } from '../src/store/local.ts'
import { openReader } from '../src/store/sqlite/reader.ts'
import type { Reader } from '../src/store/store.ts'
import { keyOf, type Size } from './scale-content.ts'

const indexes = indexesOf(kinds)
const tools: PlanTools = {
  plugins: new Map(bundledPlugins.map(({ name, handler }) => [name, handler])),
  withSecrets: (_kind, entity) => entity,
  warn: () => undefined,
  resolver: { lookup: () => [], renew: () => undefined },
}

/** Opens the store's file as a worker does. */
export function measureTables(file: string, size: Size): Readonly<Record<string, number>> {
  const reader = openReader(file, indexes)
  try {
    return { ...measureBuilding(reader), ...measureLookups(reader, size) }
  } finally {
    reader.close()
  }
}

function measureBuilding(reader: Reader): Readonly<Record<string, number>> {
  const [snapshot, readMs] = timed(() => takeSnapshot(reader))
  const [compiled, compileMs] = timed(() => compile(tools, snapshot))
  const routes = [...snapshot.routes.keys()].slice(0, 200)
  let [last, plan] = [snapshot, compiled]
  const changes = routes.map((id) => {
    const [, ms] = timed(() => {
      last = renewSnapshot(last, reader, [{ kind: 'routes', id }])
      plan = compile(tools, last, plan)
    })
    return ms
  })
  return {
    'read ms': readMs,
    'compile ms': compileMs,
    'after one change ms': changes.toSorted((a, b) => a - b)[changes.length >> 1] ?? Number.NaN,
  }
}

function measureLookups(reader: Reader, { consumers }: Size): Readonly<Record<string, number>> {
  const local = localEntities(reader, { kinds: indexes })
  const count = Math.min(10_000, consumers)
  const keys = Array.from({ length: count }, (_, at) => keyOf(Math.floor((at * consumers) / count)))
  const each = () => timed(() => keys.forEach((key) => local.by('jwt_secrets', 'key', key)))[1]
  const [coldMs] = [each()]
  const warm = Array.from({ length: 5 }, each)
  return { 'cold lookup us': (coldMs * 1000) / count, 'warm lookup us': (Math.min(...warm) * 1000) / count }
}

/** The processor's time in ms, which other programs on the machine hardly change. */
function timed<T>(run: () => T): [T, number] {
  const begun = process.cpuUsage()
  const result = run()
  const { user, system } = process.cpuUsage(begun)
  return [result, (user + system) / 1000]
}
