/** `gibbon top`: what the gateway does right now. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { askLocally } from './local-admin.ts'
import { runningGateway } from './running.ts'
import { frameJson, frameOf, frameText, type TrafficAnswer } from './top-frame.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

const timeoutMs = 5000
const clearScreen = '\x1b[H\x1b[2J\x1b[3J'

export const command: Command = {
  name: 'top',
  summary: 'Show live what the gateway serves: rates, latencies, statuses, busy routes, slow upstreams',
  usage: `top [-p FOLDER] [--interval SECONDS] [--rows N] [--once] [--json]

  Shows the requests of each interval until it is interrupted. Latencies are upper bounds: p99 5 ms means that 99 of 100
  requests took 5 ms or less; those of upstreams last until the response's head. With --json each interval is a line.`,
  options: {
    ...settingsOptions,
    interval: { type: 'string', short: 'i', value: 'SECONDS', help: 'how long each interval lasts; 1 if not given' },
    rows: { type: 'string', short: 'n', value: 'N', help: 'how many routes and upstreams to show; 10 if not given' },
    once: { type: 'boolean', help: 'show one interval and end' },
  },
  async run(context) {
    const { values, stderr } = context
    const seconds = Number(values['interval'] ?? 1)
    const rows = Number(values['rows'] ?? 10)
    if (!(seconds >= 0.1 && seconds <= 3600))
      return complain(context, '--interval takes a number of seconds, 0.1 to 3600')
    if (!(Number.isInteger(rows) && rows > 0)) return complain(context, '--rows takes a whole number above 0')
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const { prefix } = loaded.settings
    if (runningGateway(prefix) === undefined) {
      stderr.write(`gibbon: no gateway runs on ${prefix}\n`)
      return exitStatus.notRunning
    }
    try {
      await watch(context, prefix, { seconds, rows })
      return exitStatus.done
    } catch (error) {
      stderr.write(`gibbon: the gateway does not tell of its traffic any more: ${(error as Error).message}\n`)
      return exitStatus.failed
    }
  },
}

function complain({ stderr }: CommandContext, problem: string): number {
  stderr.write(`gibbon top: ${problem}\n`)
  return exitStatus.usage
}

interface View {
  readonly seconds: number
  readonly rows: number
}

async function watch(context: CommandContext, prefix: string, { seconds, rows }: View): Promise<void> {
  const { stdout, isTerminal, json, values } = context
  let last = await look(prefix)
  do {
    await wait(seconds * 1000)
    const now = await look(prefix)
    const frame = frameOf(last.traffic, now.traffic, (now.at - last.at) / 1000)
    const title = `gibbon top  ${new Date().toISOString().slice(11, 19)} UTC  every ${seconds} s`
    if (json) stdout.write(`${JSON.stringify(frameJson(frame, rows))}\n`)
    else
      stdout.write(`${isTerminal && !values['once'] ? clearScreen : ''}${frameText(frame, title, rows, isTerminal)}\n`)
    last = now
  } while (!values['once'])
}

async function look(prefix: string): Promise<{ readonly traffic: TrafficAnswer; readonly at: number }> {
  const { status, body } = await askLocally(prefix, 'GET', '/traffic', { timeoutMs })
  if (status !== 200) throw new Error(`it answers ${status}`)
  return { traffic: body as unknown as TrafficAnswer, at: performance.now() }
}
