import { type Command, type CommandContext, exitStatus } from './command.ts'
import { askLocally, type LocalAnswer } from './local-admin.ts'
import { runningGateway } from './running.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'reload',
  summary:
    'Have a new process, with all settings read anew, take the place of the running one without losing a connection',
  usage: `reload [-p FOLDER]

  Starts gibbon start as it was started, lets it take over the sockets and the store, and then has the process before end when
  its connections have. Where the new one cannot start, the old one goes on, and this command says why. To have the declarative
  file and the certificates alone read again, without a new process, send SIGHUP.`,
  options: settingsOptions,
  async run(context) {
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const { prefix } = loaded.settings
    const pid = runningGateway(prefix)
    if (pid === undefined) {
      context.stderr.write(`gibbon: no gateway runs on ${prefix}\n`)
      return exitStatus.notRunning
    }
    const answer = await askLocally(prefix, 'POST', '/reload').catch((error: Error) => ({
      status: 0,
      body: { message: `process ${pid} cannot be asked: ${error.message}` },
    }))
    return tell(context, pid, answer)
  },
}

function tell({ stdout, stderr, json }: CommandContext, before: number, { status, body }: LocalAnswer): number {
  if (status !== 200) {
    const reason = status === 404 ? `process ${before} cannot be replaced: start it with gibbon start` : body['message']
    stderr.write(`gibbon: not reloaded, and process ${before} serves on:\n${String(reason)}\n`)
    return exitStatus.failed
  }
  const { pid, ms } = body
  if (json) stdout.write(`${JSON.stringify({ replaced: before, pid, ms })}\n`)
  else stdout.write(`gibbon: process ${String(pid)} serves in place of ${before}, after ${String(ms)} ms\n`)
  return exitStatus.done
}
