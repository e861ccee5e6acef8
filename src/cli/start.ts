import { Writable } from 'node:stream'
import type { Settings } from '../config/settings.ts'
import type { Life, Replaced } from '../keeper.ts'
import type { Gateway } from '../main.ts'
import { takeInheritance } from '../sockets.ts'
import type { Successor } from '../successor.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { bold } from './terminal.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'start',
  summary: 'Run the gateway',
  usage: `start [-c FILE] [-p FOLDER]

  Stays in the foreground. SIGTERM and SIGINT let requests in flight end (a second one does not wait), SIGHUP and SIGUSR1
  read the settings, the declarative file and the certificates again and open the log files anew. gibbon reload replaces the
  process by one that takes over all settings, and no connection is lost.`,
  options: {
    ...settingsOptions,
    'run-migrations': {
      type: 'boolean',
      help: 'with database = postgres, run gibbon migrations bootstrap and up before',
    },
    // Kong's, so that existing scripts start this gateway, too. They have nothing to say here.
    'nginx-conf': { type: 'string' },
    'db-timeout': { type: 'string' },
    'lock-timeout': { type: 'string' },
    v: { type: 'boolean' },
    vv: { type: 'boolean' },
  },
  async run(context) {
    const inheritance = takeInheritance(context.env)
    if (!inheritance) return start(context)
    const { joinKeeper } = await import('../successor.ts')
    const successor = joinKeeper(inheritance)
    const { said, stderr } = overheard(context.stderr)
    const status = await start({ ...context, stderr }, successor)
    if (status !== exitStatus.done) await successor.fail(said())
    return status
  },
}

async function start(context: CommandContext, successor?: Successor): Promise<number> {
  const loaded = readSettings(context)
  if (!loaded) return exitStatus.usage
  for (const note of loaded.notes) context.stderr.write(`gibbon: ${note}\n`)
  if (context.values['run-migrations'] === true && loaded.settings.database === 'postgres') {
    const { migrate } = await import('./migrations-actions.ts')
    const problem = await migrate(loaded.settings)
    if (problem !== undefined) {
      context.stderr.write(`gibbon: cannot start: ${problem}\n`)
      return exitStatus.failed
    }
  }
  return serve(context, loaded.settings, successor)
}

/** Keeps what is said on standard error, for the one who has asked for this process and does not read it. */
function overheard(stderr: Writable): { readonly said: () => string; readonly stderr: Writable } {
  let text = ''
  const keeping = new Writable({
    write(bytes: Buffer, _encoding, done) {
      text = `${text}${bytes.toString()}`.slice(0, longestReason)
      stderr.write(bytes)
      done()
    },
  })
  return { said: () => text.trim(), stderr: keeping }
}

const longestReason = 65_536

async function serve(context: CommandContext, settings: Settings, successor: Successor | undefined): Promise<number> {
  // Heard from the beginning, lest a signal ends a half-started gateway the hard way.
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  let gateway: Gateway | undefined
  let life: Life | undefined = successor
  const reload = (signal: NodeJS.Signals): void => {
    // Wrong settings are told on standard error, and the old ones go on to hold.
    if (!life?.passOn(signal)) void gateway?.reload(readSettings(context)?.settings)
  }
  for (const signal of reloadSignals) process.on(signal, reload)
  try {
    const { startGateway } = await import('../main.ts')
    const replace = (): Promise<Replaced> => life?.replace() ?? Promise.reject(new Error('this process still starts'))
    gateway = await startGateway(settings, { predecessor: successor?.predecessor, replace })
  } catch (error) {
    context.stderr.write(`gibbon: cannot start: ${reasonOf(error)}\n`)
    return exitStatus.failed
  }
  tellReady(context, settings, gateway)
  life = successor ?? (await import('../keeper.ts')).createKeeper(gateway)
  await successor?.serve(gateway)
  const lived = life
  const status = await Promise.race([asked.then(() => lived.stop()), lived.over])
  for (const signal of reloadSignals) process.off(signal, reload)
  return status
}

const reloadSignals = ['SIGHUP', 'SIGUSR1'] as const

// What is the user's to mend is told in a sentence; anything else is a bug, whose stack helps to find it.
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.constructor.name === 'StartError' ? error.message : (error.stack ?? error.message)
}

function tellReady({ stderr, stdout, json, isTerminal }: CommandContext, settings: Settings, gateway: Gateway): void {
  const ms = Math.round(performance.now())
  const proxy = settings.proxy_listen.map(({ ip, ssl }, index) => url(ip, gateway.proxyPorts[index]!, ssl))
  const stream = settings.stream_listen.map(({ ip, ssl }, index) =>
    url(ip, gateway.streamPorts[index]!, ssl, 'tls', 'tcp'),
  )
  const admin = settings.admin_listen.map(({ ip, ssl }, index) => url(ip, gateway.adminPorts[index]!, ssl))
  const status = settings.status_listen.map(({ ip, ssl }, index) => url(ip, gateway.statusPorts[index]!, ssl))
  if (json) {
    stdout.write(`${JSON.stringify({ ready: true, ms, pid: process.pid, proxy, stream, admin, status })}\n`)
    return
  }
  const streams = stream.length > 0 ? `; streams ${stream.join(', ')}` : ''
  const places = `proxy ${proxy.join(', ') || 'off'}${streams}; Admin API ${admin.join(', ') || 'off'}; Status API ${status.join(', ') || 'off'}; prefix ${settings.prefix}`
  stderr.write(`${bold('gibbon is ready', isTerminal)} after ${ms} ms: ${places}\n`)
}

const url = (ip: string, port: number, ssl: boolean, secure = 'https', plain = 'http'): string =>
  `${ssl ? secure : plain}://${ip}:${port}`
