import { type Command, exitStatus } from './command.ts'
import { runningGateway } from './running.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'reload',
  summary: 'Have the running gateway read its declarative file and certificates again and open its logs anew',
  usage: `reload [-p FOLDER]

  A file with mistakes changes nothing: the gateway says why in its error log, and gibbon config validate says it here.`,
  options: settingsOptions,
  async run(context) {
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const pid = runningGateway(loaded.settings.prefix)
    if (pid === undefined) {
      context.stderr.write(`gibbon: no gateway runs on ${loaded.settings.prefix}\n`)
      return exitStatus.notRunning
    }
    process.kill(pid, 'SIGHUP')
    context.stdout.write(context.json ? `${JSON.stringify({ reloading: pid })}\n` : `gibbon: process ${pid} reloads\n`)
    return exitStatus.done
  },
}
