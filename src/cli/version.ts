import { readFileSync } from 'node:fs'
import { type Command, exitStatus } from './command.ts'

/** The version of Kong Gateway whose configuration and answers are followed. */
export const kongVersion = '3.10.0'

/** This package's version, as in its package.json. */
export function ownVersion(): string {
  // src/cli and dist/cli are equally deep, so that one path serves both.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export const command: Command = {
  name: 'version',
  summary: 'Print the version',
  usage: 'version [--json]',
  options: {},
  async run({ stdout, json }) {
    const version = ownVersion()
    const line = `gibbon ${version} (speaks Kong ${kongVersion}, on Node.js ${process.versions.node})`
    stdout.write(
      json ? `${JSON.stringify({ gibbon: version, kong: kongVersion, node: process.versions.node })}\n` : `${line}\n`,
    )
    return exitStatus.done
  },
}
