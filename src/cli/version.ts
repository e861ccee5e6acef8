import { version } from '../version.ts'
import { type Command, exitStatus } from './command.ts'

/** The version of Kong Gateway whose configuration and answers are followed. */
const kongVersion = '3.10.0'

export const command: Command = {
  name: 'version',
  summary: 'Print the version',
  usage: 'version [--json]',
  options: {},
  async run({ stdout, json }) {
    const node = process.versions.node
    const line = `gibbon ${version} (speaks Kong ${kongVersion}, on Node.js ${node})`
    stdout.write(`${json ? JSON.stringify({ gibbon: version, kong: kongVersion, node }) : line}\n`)
    return exitStatus.done
  },
}
