/**
 * A thousand changes of the configuration under a thousand requests a second over HTTP/1.1 and HTTP/2, and an open WebSocket: nothing
 * lost, nothing answered by a mix of two configurations. Run it with `node bench/changes.ts [CHANGES [REQUESTS A SECOND]]`.
 */
import { tryChanges } from './continuity/changes.ts'
import { quantile, told } from './continuity/telling.ts'

const [changes = 1000, perSecond = 1000] = process.argv.slice(2).map(Number)
const result = await tryChanges({ changes, perSecond })
const { lost, changeMs, ...figures } = result
console.log({
  ...figures,
  lost: told(lost),
  changeMsMedian: quantile(changeMs, 0.5),
  changeMs99: quantile(changeMs, 0.99),
})
process.exit(lost.length === 0 && figures.ended === undefined && figures.said === figures.heard ? 0 : 1)
