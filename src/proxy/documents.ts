/** Documents that plugins have the gateway serve, before any route is looked for. */
import type { PersistentMap } from '../config/persistent-map.ts'
import type { RewriteKong } from '../pdk/kong.ts'
import { definePlugin, type Outcome, type ServedDocument } from '../pdk/plugin.ts'
import { type Call, type Chain, chainOf } from './chains.ts'

/** By path; of several the first whose host is the request's. */
type Documents = ReadonlyMap<string, readonly ServedDocument[]>

/** The global plugins, after what serves the documents of all plugins, by plugin id; the same chain where there is none. */
export function withDocuments(everywhere: Chain, serving: PersistentMap<readonly ServedDocument[]>): Chain {
  if (serving.size === 0) return everywhere
  // In the order of the plugins' ids, so that two configs that serve one place do not take turns.
  const all = [...serving.entries()].toSorted(([one], [other]) => (one < other ? -1 : 1)).flatMap(([, own]) => own)
  const ready: Documents = Map.groupBy(all, ({ path }) => path)
  const call: Call = { name: 'documents', plugin: server, ready, consumers: undefined, before: 0 }
  return chainOf([call, ...everywhere.calls])
}

const server = definePlugin<unknown, Documents>({
  version: '1.0.0',
  priority: Infinity,
  prepare: () => new Map(),
  rewrite: serve,
})

function serve({ request, entities }: RewriteKong, documents: Documents): Outcome {
  const here = documents.get(request.get_path())
  if (here === undefined || (request.get_method() !== 'GET' && request.get_method() !== 'HEAD')) return undefined
  const host = request.get_host()
  return here.find((document) => document.host === undefined || document.host === host)?.answer(entities)
}
