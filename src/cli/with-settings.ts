import { existsSync } from 'node:fs'
import { loadSettings, type LoadedSettings, type SettingsSources } from '../config/settings.ts'
import type { CommandContext, CommandOptions } from './command.ts'

/** The options of every command that reads the settings. */
export const settingsOptions = {
  conf: { type: 'string', short: 'c', value: 'FILE', help: "settings file, as Kong's kong.conf" },
  prefix: { type: 'string', short: 'p', value: 'FOLDER', help: 'in place of the setting prefix' },
} as const satisfies CommandOptions

export type GoodSettings = Extract<LoadedSettings, { ok: true }>

// The last two are Kong's, because people bring their files.
const usualFiles = ['/etc/gibbon/gibbon.conf', '/etc/kong/kong.conf', '/etc/kong.conf']

/** Reads the settings as the options and variables say; tells on stderr what is wrong and returns undefined. */
export function readSettings({ values, env, stderr }: CommandContext): GoodSettings | undefined {
  const file = typeof values['conf'] === 'string' ? values['conf'] : usualFiles.find((path) => existsSync(path))
  const prefix = typeof values['prefix'] === 'string' ? values['prefix'] : undefined
  const sources: SettingsSources = { env, overrides: { prefix }, ...(file === undefined ? {} : { file }) }
  const loaded = loadSettings(sources)
  if (loaded.ok) return loaded
  for (const error of loaded.errors) stderr.write(`gibbon: ${error}\n`)
  stderr.write('gibbon: the settings are wrong; gibbon settings shows them all\n')
  return undefined
}
