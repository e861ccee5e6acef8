/**
 * Ten thousand held connections of each kind, and of all kinds together, beside good clients: what becomes of their latency, and how
 * much memory it takes. Run it with `node bench/attackers.ts [CONNECTIONS [SECONDS]]`; it needs `ulimit -n` of twice as many.
 */
import { attack } from './continuity/attackers.ts'
import { told } from './continuity/telling.ts'

const [count = 10_000, seconds = 10] = process.argv.slice(2).map(Number)
const third = Math.floor(count / 3)
const cases = {
  'idle, kept alive': { idle: count },
  'slow heads': { 'slow head': count },
  'slow bodies': { 'slow body': count },
  'slow reads': { 'slow read': count },
  'a third each': { 'slow head': third, 'slow body': third, 'slow read': third },
  'heads of 28 KiB without an end': { 'full head': count },
  'bodies of 64,000 bytes without an end': { 'full body': count },
}
const only = process.argv[4]
for (const [name, attackers] of Object.entries(cases)) {
  if (only !== undefined && !name.includes(only)) continue
  const { held, calm, attacked, lost, grownBytes, kernelBytes } = await attack({ attackers, seconds })
  console.log({
    attack: name,
    held,
    calmMs: calm,
    attackedMs: attacked,
    lost: told(lost),
    grownMiB: Math.round(grownBytes / 2 ** 20),
    grownKiBEach: Number((grownBytes / 1024 / count).toFixed(1)),
    kernelKiBEach: Number((kernelBytes / 1024 / count).toFixed(1)),
  })
}
