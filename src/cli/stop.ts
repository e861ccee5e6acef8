import { type Command, exitStatus } from './command.ts'
import { runningGateway, waitUntilStopped } from './running.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

// Beyond the time that requests in flight are given, for closing what is left.
const closingMs = 5000

export const command: Command = {
  name: 'stop',
  summary: 'Stop the running gateway when its requests in flight have ended',
  usage: 'stop [-p FOLDER] [--timeout SECONDS]',
  options: {
    ...settingsOptions,
    timeout: {
      type: 'string',
      short: 't',
      value: 'SECONDS',
      help: 'how long to wait; the setting drain_timeout and 5 s if not given',
    },
  },
  async run(context) {
    const { stderr, stdout, values } = context
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const { prefix, drain_timeout } = loaded.settings
    const timeoutMs = values['timeout'] === undefined ? drain_timeout + closingMs : Number(values['timeout']) * 1000
    if (!(timeoutMs >= 0)) {
      stderr.write('gibbon stop: --timeout takes a number of seconds\n')
      return exitStatus.usage
    }
    const pid = runningGateway(prefix)
    if (pid === undefined) {
      stderr.write(`gibbon: no gateway runs on ${prefix}\n`)
      return exitStatus.notRunning
    }
    process.kill(pid, 'SIGTERM')
    if (!(await waitUntilStopped(prefix, timeoutMs))) {
      stderr.write(`gibbon: process ${pid} has not ended after ${timeoutMs / 1000} s\n`)
      return exitStatus.failed
    }
    stdout.write(context.json ? `${JSON.stringify({ stopped: pid })}\n` : `gibbon: stopped process ${pid}\n`)
    return exitStatus.done
  },
}
