/**
 * Proxy workers that die under load: what each death costs, and when a new one serves.
 *
 *     node bench/deaths.ts [TIMES [REQUESTS A SECOND]]
 */
import { tryDeaths, ways } from './continuity/deaths.ts'
import { quantile, told } from './continuity/telling.ts'

const [times = 5, perSecond = 1000] = process.argv.slice(2).map(Number)
const deaths = await tryDeaths({ ways: ways.flatMap((way) => Array.from({ length: times }, () => way)), perSecond })
for (const way of ways) {
  const own = deaths.filter((death) => death.way === way)
  const [found, replaced] = [own.map(({ foundMs }) => foundMs), own.map(({ replacedMs }) => replacedMs)]
  console.log({
    way,
    answered: own.reduce((sum, { answered }) => sum + answered, 0),
    foundMs: quantile(found, 0.5),
    foundMsMost: quantile(found, 1),
    replacedMs: quantile(replaced, 0.5),
    replacedMsMost: quantile(replaced, 1),
    webSocketsEnded: `${own.map(({ talksEnded }) => talksEnded).join(', ')} of ${own[0]?.talks}`,
    lost: told(own.flatMap(({ lost }) => lost)),
    lostLater: told(own.flatMap(({ lostLater }) => lostLater)),
  })
}
process.exit(deaths.every(({ lostLater }) => lostLater.length === 0) ? 0 : 1)
