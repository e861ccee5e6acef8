/**
 * Replacements of the process and reloads in place under load: no connection refused, reset or cut.
 *
 *     node bench/reloads.ts [--replacements N] [--reloads N] [--per-second N] [--drain-after TIME] [--database off|sqlite|postgres]
 *
 * With `--drain-after 1s` a process that was replaced drains after a second, as a stop does; without, it serves its last connections
 * until they end.
 */
import { parseArgs } from 'node:util'
import { databaseNamed } from './continuity/database.ts'
import { tryReloads } from './continuity/reloads.ts'
import { quantile, told } from './continuity/telling.ts'

const { values } = parseArgs({
  options: {
    replacements: { type: 'string', default: '100' },
    reloads: { type: 'string', default: '100' },
    'per-second': { type: 'string', default: '1000' },
    'drain-after': { type: 'string' },
    database: { type: 'string', default: 'off' },
  },
})
const { lost, ended, replaceMs, latencies, ...figures } = await tryReloads({
  replacements: Number(values.replacements),
  reloads: Number(values.reloads),
  perSecond: Number(values['per-second']),
  ...(values['drain-after'] !== undefined && { drainAfter: values['drain-after'] }),
  database: databaseNamed(values.database),
})
console.log({
  ...figures,
  lost: told(lost),
  ended: told(ended),
  replaceMsMedian: quantile(replaceMs, 0.5),
  replaceMsMost: quantile(replaceMs, 1),
  latencyMsMedian: quantile(latencies, 0.5),
  latencyMs99: quantile(latencies, 0.99),
  latencyMsMost: quantile(latencies, 1),
})
process.exit(lost.length + ended.length === 0 && figures.said === figures.heard ? 0 : 1)
