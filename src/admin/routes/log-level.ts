import { type Level, levels, type Log } from '../../observe/log.ts'
import { message, type Answer } from '../answers.ts'
import { luaNumber } from '../query.ts'
import type { AdminRequest, Context, Endpoint } from '../types.ts'

const DEFAULT_TIMEOUT_S = 60
/** The longest time that a timer takes. */
const LONGEST_TIMEOUT_S = 2_147_483

const notWithoutDatabase = message(405, 'cannot change log level when not using a database')

/** `/debug/.../log-level`: the level in force, and another one for `timeout` seconds, after which the old one comes back. */
export function logLevelEndpoints({ writable }: Context, log: Log): Endpoint[] {
  const change = levelChanger(log)
  const set = (request: AdminRequest): Answer => {
    if (!writable) return notWithoutDatabase
    const level = request.params['log_level'] ?? ''
    if (!isLevel(level)) return message(400, `unknown log level: ${level}`)
    const timeoutS = timeoutOf(request)
    if (timeoutS < 0) return message(400, 'timeout must be greater than or equal to 0')
    if (level === log.level()) return message(200, `log level is already ${level}`)
    change(level, timeoutS)
    return message(200, 'log level changed')
  }
  return [
    { path: '/debug/node/log-level', methods: { GET: () => message(200, `log level: ${log.level()}`) } },
    { path: '/debug/node/log-level/{log_level}', methods: { PUT: set } },
    { path: '/debug/cluster/log-level/{log_level}', methods: { PUT: set } },
  ]
}

const isLevel = (text: string): text is Level => levels.some((level) => level === text)

/** From the query or the body; what is no number is the default. */
function timeoutOf({ query, body }: AdminRequest): number {
  const given = body.value['timeout'] ?? query.get('timeout')
  const number = typeof given === 'number' ? given : typeof given === 'string' ? luaNumber(given) : undefined
  return Math.min(Math.ceil(number ?? DEFAULT_TIMEOUT_S), LONGEST_TIMEOUT_S)
}

/** Sets a level for a while; the level to come back to is the one in force before the first change. */
function levelChanger(log: Log): (level: Level, timeoutS: number) => void {
  let original: Level | undefined
  let timer: NodeJS.Timeout | undefined
  return (level, timeoutS) => {
    original ??= log.level()
    clearTimeout(timer)
    log.setLevel(level)
    timer = setTimeout(() => {
      log.setLevel(original ?? level)
      original = undefined
    }, timeoutS * 1000).unref()
  }
}
