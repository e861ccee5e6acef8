/** `gibbon migrations`: the tables that nodes share in PostgreSQL, made, brought up to date, looked at and removed. */
import { createInterface } from 'node:readline/promises'
import { didYouMean } from '../config/nearest.ts'
import type { Settings } from '../config/settings.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import type { Change, Look, SharedTables } from './migrations-actions.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

/** As Kong's: the tables are not there, or steps have not been run. */
const needsBootstrap = 3
const needsUp = 5

export const command: Command = {
  name: 'migrations',
  summary: 'Make the tables that nodes share in PostgreSQL, or bring them up to date',
  usage: `migrations bootstrap|up|finish|status|list|reset

  bootstrap makes the tables, once for all nodes; up runs what a newer version brings. Nodes may run meanwhile.
  finish has nothing to do here: up does all.
  status and list tell how far the database is. Exit status 0: all is run; ${needsBootstrap}: bootstrap is needed; ${needsUp}: up is.
  reset removes the tables with all that is in them.`,
  options: {
    ...settingsOptions,
    yes: { type: 'boolean', short: 'y', help: 'reset without asking' },
    quiet: { type: 'boolean', short: 'q', help: 'print nothing but mistakes' },
    'db-timeout': {
      type: 'string',
      value: 'SECONDS',
      help: 'how long the database may take for each step; 60 if not given',
    },
    'lock-timeout': {
      type: 'string',
      value: 'SECONDS',
      help: 'how long to wait for another one that migrates; 60 if not given',
    },
    force: { type: 'boolean', short: 'f' },
  },
  async run(context) {
    const [name = '', ...more] = context.args
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (!action || more.length > 0) return misused(context, name)
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const problem = unusable(loaded.settings, context)
    if (problem !== undefined) return failed(context, problem)
    return withTables(context, loaded.settings, action)
  },
}

type Action = (tables: SharedTables, context: CommandContext) => Promise<number>

const actions: { readonly [name: string]: Action } = {
  bootstrap: async (tables, context) => told(context, await tables.bootstrap()),
  up: async (tables, context) => told(context, await tables.up()),
  finish: async (tables, context) => looked(context, await tables.look(), false),
  status: async (tables, context) => looked(context, await tables.look(), false),
  list: async (tables, context) => looked(context, await tables.look(), true),
  reset: async (tables, context) => {
    const refusal = await unconfirmed(context, tables.place)
    return refusal === undefined ? told(context, await tables.reset()) : failed(context, refusal)
  },
}

function misused({ stderr }: CommandContext, name: string): number {
  const names = Object.keys(actions)
  const problem =
    name === '' || Object.hasOwn(actions, name)
      ? `say what: ${names.join(', ')}`
      : `no ${name}${didYouMean(name, names)}`
  stderr.write(`gibbon migrations: ${problem}\nTry: gibbon migrations --help\n`)
  return exitStatus.usage
}

function unusable({ database }: Settings, { values }: CommandContext): string | undefined {
  if (database !== 'postgres')
    return `with database = ${database} there is nothing to migrate: the store brings itself up to date at the start`
  const wrong = ['db-timeout', 'lock-timeout'].find((name) => values[name] !== undefined && !(Number(values[name]) > 0))
  return wrong && `--${wrong} takes a number of seconds`
}

async function withTables(context: CommandContext, settings: Settings, action: Action): Promise<number> {
  const { connectTables } = await import('./migrations-actions.ts')
  const msOf = (name: string): number => Number(context.values[name] ?? 60) * 1000
  try {
    const tables = await connectTables(settings, msOf('db-timeout'), msOf('lock-timeout'))
    try {
      return await action(tables, context)
    } finally {
      tables.close()
    }
  } catch (error) {
    return failed(context, (error as Error).message)
  }
}

function failed({ stderr }: CommandContext, problem: string): number {
  stderr.write(`gibbon: ${problem}\n`)
  return exitStatus.failed
}

function told(context: CommandContext, { text, done, ...facts }: Change): number {
  if (!done && !context.json) return failed(context, text)
  say(context, text, { done, text, ...facts })
  return done ? exitStatus.done : exitStatus.failed
}

function looked(context: CommandContext, { state, text, executed, pending }: Look, listed: boolean): number {
  const steps = [...executed.map((name) => `  ${name} (run)\n`), ...pending.map((name) => `  ${name} (to be run)\n`)]
  say(context, listed ? `${text}\n${steps.join('')}`.trimEnd() : text, { state, executed, pending })
  return { empty: needsBootstrap, older: needsUp, current: exitStatus.done, newer: exitStatus.failed }[state]
}

function say({ stdout, values, json }: CommandContext, text: string, data: object): void {
  if (json) stdout.write(`${JSON.stringify(data)}\n`)
  else if (values['quiet'] !== true) stdout.write(`gibbon: ${text}\n`)
}

/** Why the tables are not removed; undefined where somebody has said that they are to be. */
async function unconfirmed({ values, isTerminal }: CommandContext, place: string): Promise<string | undefined> {
  if (values['yes'] === true) return undefined
  if (!isTerminal || !process.stdin.isTTY) return 'reset deletes everything: say --yes where nobody can be asked'
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(
    `This deletes the whole configuration in ${place}, for all nodes. Type yes to go on: `,
  )
  terminal.close()
  return answer.trim() === 'yes' ? undefined : 'nothing was changed'
}
