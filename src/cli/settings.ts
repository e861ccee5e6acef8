import { defaultText, mask, variableOf } from '../config/settings.ts'
import { allSettings, type Setting, type SettingName } from '../config/settings-declared.ts'
import { didYouMean } from '../config/nearest.ts'
import { type Command, exitStatus } from './command.ts'
import { styled } from './terminal.ts'
import { type GoodSettings, readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'settings',
  summary: 'Print every setting: what it means, its default, its present value and where that came from',
  usage: `settings [NAME ...] [-c FILE]

  What is printed is a settings file itself: a setting that has its default stands behind a #.`,
  options: settingsOptions,
  async run(context) {
    const { args, stdout, stderr, isTerminal, json } = context
    const unknown = args.find((name) => !allSettings.has(name as SettingName))
    if (unknown !== undefined) {
      stderr.write(`gibbon: no setting is called ${unknown}${didYouMean(unknown, allSettings.keys())}\n`)
      return exitStatus.usage
    }
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const rows = rowsOf(loaded).filter(({ name }) => args.length === 0 || args.includes(name))
    if (json) stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    else stdout.write(rows.map((row) => entryOf(row, isTerminal)).join('\n'))
    for (const note of loaded.notes) stderr.write(`gibbon: ${note}\n`)
    return exitStatus.done
  },
}

interface Row {
  readonly name: string
  readonly value: string | null
  readonly from: string
  readonly default: string | null
  readonly variable: string
  readonly description: string
  readonly one_of?: readonly string[]
}

function rowsOf({ origins }: GoodSettings): Row[] {
  return [...allSettings].map(([name, setting]) => {
    const { text, from } = origins.get(name)!
    return {
      name,
      value: text === undefined ? null : setting.encrypted && text !== '' ? mask : text,
      from,
      default: defaultText(setting) ?? null,
      variable: variableOf(name),
      description: setting.description,
      ...oneOf(setting),
    }
  })
}

const oneOf = ({ one_of, $later = [] }: Setting): { one_of?: readonly string[] } =>
  one_of ? { one_of: one_of.map(String).filter((value) => !$later.includes(value)) } : {}

function entryOf(row: Row, isTerminal: boolean): string {
  const dim = (text: string): string => styled('dim', text, isTerminal)
  const possible = row.one_of ? ` One of: ${row.one_of.join(', ')}.` : ''
  const isDefault = row.from === 'default'
  const origin = isDefault
    ? row.variable
    : `${row.variable}; default: ${row.default ?? 'none'}; this is from ${row.from}`
  const value = `${row.name} = ${(row.value ?? '').replaceAll('#', '\\#').replaceAll('\n', '\\n')}`.trimEnd()
  const line = isDefault ? `#${value}` : styled('bold', value, isTerminal)
  return `${dim(`# ${row.description}${possible}`)}\n${dim(`# ${origin}`)}\n${line}\n`
}
