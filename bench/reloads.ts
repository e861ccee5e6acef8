/**
 * A hundred replacements of the process and a hundred reloads in place under load: no connection refused, reset or cut. Run it with
 * `node bench/reloads.ts [REPLACEMENTS [RELOADS [REQUESTS A SECOND]]]`.
 */
import { tryReloads } from './continuity/reloads.ts'
import { quantile, told } from './continuity/telling.ts'

const [replacements = 100, reloads = 100, perSecond = 1000] = process.argv.slice(2).map(Number)
const { lost, replaceMs, latencies, ...figures } = await tryReloads({ replacements, reloads, perSecond })
console.log({
  ...figures,
  lost: told(lost),
  replaceMsMedian: quantile(replaceMs, 0.5),
  replaceMsMost: quantile(replaceMs, 1),
  latencyMsMedian: quantile(latencies, 0.5),
  latencyMs99: quantile(latencies, 0.99),
  latencyMsMost: quantile(latencies, 1),
})
const isWhole = lost.length === 0 && figures.chatEnded === undefined && figures.framesSaid === figures.framesHeard
process.exit(isWhole ? 0 : 1)
