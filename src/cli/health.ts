import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { adminSocket, type Listener, type Settings } from '../config/settings.ts'
import { type Command, exitStatus } from './command.ts'
import { askLocally } from './local-admin.ts'
import { runningGateway } from './running.ts'
import { styled } from './terminal.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

const timeoutMs = 5000

export const command: Command = {
  name: 'health',
  summary: 'Tell whether the gateway runs and answers',
  usage: `health [-p FOLDER]

  Exit status 0: it answers; 1: it runs and does not answer; 3: it does not run.`,
  options: settingsOptions,
  async run(context) {
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const { stdout, isTerminal, json } = context
    const pid = runningGateway(loaded.settings.prefix)
    const error = pid === undefined ? `no gateway runs on ${loaded.settings.prefix}` : await problemOf(loaded.settings)
    if (json)
      stdout.write(`${JSON.stringify({ healthy: error === undefined, pid: pid ?? null, error: error ?? null })}\n`)
    else if (error === undefined) stdout.write(`${styled('green', 'healthy', isTerminal)}: process ${pid} answers\n`)
    else stdout.write(`${styled('red', 'not healthy', isTerminal)}: ${error}\n`)
    if (pid === undefined) return exitStatus.notRunning
    return error === undefined ? exitStatus.done : exitStatus.failed
  },
}

/** What is wrong with a running gateway, as its own listeners show. A port that was left to the system cannot be asked. */
async function problemOf({ prefix, proxy_listen }: Settings): Promise<string | undefined> {
  const problem = await statusProblem(prefix)
  if (problem) return `the Admin API on ${adminSocket(prefix)}: ${problem}`
  for (const listener of proxy_listen.filter(({ port }) => port !== 0)) {
    const refused = await connectProblem(listener)
    if (refused) return `the proxy on ${listener.listener}: ${refused}`
  }
  return undefined
}

/** A wildcard address is listened on, not connected to. */
function reachable(ip: string): string {
  const host = ip.replace(/^\[(.*)\]$/, '$1')
  if (host === '0.0.0.0' || host === '*') return '127.0.0.1'
  return /^[0:]+$/.test(host) ? '::1' : host
}

/** By the socket, which asks for no token and no certificate. A gateway whose socket could not be opened is judged by its proxy. */
async function statusProblem(prefix: string): Promise<string | undefined> {
  if (!existsSync(adminSocket(prefix))) return undefined
  try {
    const { status } = await askLocally(prefix, 'GET', '/status', { timeoutMs })
    return status === 200 ? undefined : `answers ${status}`
  } catch (error) {
    return (error as Error).message
  }
}

function connectProblem({ ip, port }: Listener): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: reachable(ip), port, timeout: timeoutMs })
    const end = (problem?: string): void => {
      socket.destroy()
      resolve(problem)
    }
    socket.once('connect', () => end())
    socket.once('timeout', () => end(`no answer within ${timeoutMs / 1000} s`))
    socket.once('error', (error) => end(error.message))
  })
}
