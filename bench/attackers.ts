/**
 * Ten thousand held connections of each kind, and of two kinds together, beside good clients: what becomes of their latency, and how
 * much memory it takes. Run it with `node bench/attackers.ts [CONNECTIONS [SECONDS]]`; it needs `ulimit -n` of
 * a thousand more, and more than twice as many for the gateway, which takes that itself where it may (as root).
 */
import { attack } from './continuity/attackers.ts'
import { told } from './continuity/telling.ts'

const [count = 10_000, seconds = 10] = process.argv.slice(2).map(Number)
// Each takes 1 MiB of the kernel's memory, which is everybody's.
const reads = Math.ceil(count / 16)
const cases = {
  'idle, kept alive': { idle: count },
  'slow heads': { 'slow head': count },
  'slow bodies': { 'slow body': count },
  'heads of 28 KiB without an end': { 'full head': count },
  'bodies of 64,000 bytes without an end': { 'full body': count },
  'HTTP/2, idle': { 'HTTP/2 idle': count },
  'HTTP/2, header blocks of 28 KiB without an end': { 'HTTP/2 full head': count },
  'HTTP/2, two bodies of 60,000 bytes without an end': { 'HTTP/2 full bodies': count },
  'half of them full heads, half full bodies': { 'full head': count / 2, 'full body': count / 2 },
  'answers of 96 KiB that nobody reads': { 'short read': count },
  'answers of 1 MiB that nobody reads': { 'slow read': reads },
  'HTTP/2, answers of 1 MiB without a window': { 'HTTP/2 slow read': reads },
}
const only = process.argv[4]
for (const [name, attackers] of Object.entries(cases)) {
  if (only !== undefined && !name.includes(only)) continue
  const { held, calm, filling, holding, lost, grownBytes, kernelBytes } = await attack({ attackers, seconds })
  console.log({
    attack: name,
    held,
    calmMs: calm,
    fillingMs: filling,
    holdingMs: holding,
    lost: told(lost),
    grownMiB: Math.round(grownBytes / 2 ** 20),
    grownKiBEach: Number((grownBytes / 1024 / count).toFixed(1)),
    kernelKiBEach: Number((kernelBytes / 1024 / count).toFixed(1)),
  })
}
