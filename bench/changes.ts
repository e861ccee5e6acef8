/**
 * A thousand changes of the configuration under a thousand requests a second over HTTP/1.1 and HTTP/2, and an open WebSocket: nothing
 * lost, nothing answered by a mix of two configurations.
 *
 *     node bench/changes.ts [--changes N] [--per-second N] [--database sqlite|postgres]
 */
import { parseArgs } from 'node:util'
import { tryChanges } from './continuity/changes.ts'
import { databaseNamed } from './continuity/database.ts'
import { quantile, told } from './continuity/telling.ts'

const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: '1000' },
    'per-second': { type: 'string', default: '1000' },
    database: { type: 'string', default: 'sqlite' },
  },
})
const { lost, changeMs, ...figures } = await tryChanges({
  changes: Number(values.changes),
  perSecond: Number(values['per-second']),
  database: databaseNamed(values.database),
})
console.log({
  ...figures,
  lost: told(lost),
  changeMsMedian: quantile(changeMs, 0.5),
  changeMs99: quantile(changeMs, 0.99),
})
process.exit(lost.length === 0 && figures.ended === undefined && figures.said === figures.heard ? 0 : 1)
