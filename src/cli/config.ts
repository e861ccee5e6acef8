/** `gibbon config`: declarative configurations checked, written from the store, and read into it. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { configFormat, type PlacedMistake, parseDeclarative, type Refusal } from '../config/declarative.ts'
import type { Catalogue } from '../config/kinds.ts'
import { didYouMean } from '../config/nearest.ts'
import { type Settings, storeFile } from '../config/settings.ts'
import { adminHeaders, adminTokenOption } from './admin-client.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { styled } from './terminal.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'config',
  summary: 'Check, export or import a declarative configuration',
  usage: `config validate FILE...
       gibbon config export [-o FILE] [--json] [--with-secrets]
       gibbon config import FILE [--admin URL]

  FILE is in Kong's declarative format, YAML or JSON; - is standard input.
  validate tells every mistake with its line and column; exit status 0: all are good, 1: one is not.
  export writes what the store under the prefix holds. A gateway may run meanwhile. Secrets stand in it as ******, and
  such a file is not read again; with --with-secrets they stand there in clear, and it can be.
  import writes the file's entities into the store and leaves others as they are. While a gateway runs on the prefix,
  name its Admin API.`,
  options: {
    ...settingsOptions,
    out: { type: 'string', short: 'o', value: 'FILE', help: 'export to a file that only you can read' },
    'with-secrets': { type: 'boolean', help: 'export secrets, too' },
    admin: { type: 'string', value: 'URL', help: 'import through the Admin API of a running gateway' },
    ...adminTokenOption,
  },
  async run(context) {
    const [name = '', ...args] = context.args
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action) return action(context, args)
    const names = Object.keys(actions)
    const problem = name === '' ? `say what: ${names.join(', ')}` : `no ${name}${didYouMean(name, names)}`
    context.stderr.write(`gibbon config: ${problem}\nTry: gibbon config --help\n`)
    return exitStatus.usage
  },
}

type Action = (context: CommandContext, args: readonly string[]) => number | Promise<number>

const actions: { readonly [name: string]: Action } = { validate, export: exportStore, import: importFile }

async function validate(context: CommandContext, files: readonly string[]): Promise<number> {
  const { stdout, stderr, json, isTerminal } = context
  if (files.length === 0) {
    stderr.write('gibbon config validate: name a file\n')
    return exitStatus.usage
  }
  // What may be written depends on the settings, such as on how routes are written.
  const loaded = readSettings(context)
  if (!loaded) return exitStatus.usage
  const { catalogueFor } = await import('../config/kinds.ts')
  const catalogue = catalogueFor(loaded.settings)
  const reports = files.map((file) => reportOf(file, catalogue))
  if (json) stdout.write(`${JSON.stringify(reports, undefined, 2)}\n`)
  else for (const report of reports) stdout.write(reportText(report, isTerminal))
  return reports.every(({ valid }) => valid) ? exitStatus.done : exitStatus.failed
}

interface Report {
  readonly file: string
  readonly valid: boolean
  readonly entities: number
  readonly mistakes: readonly PlacedMistake[]
}

function reportOf(file: string, { kinds }: Catalogue): Report {
  const text = readFile(file)
  if (text instanceof Error) {
    return { file, valid: false, entities: 0, mistakes: [{ path: [], message: text.message, line: 1, column: 1 }] }
  }
  const parsed = parseDeclarative(text, { format: configFormat(file), kinds })
  if (!parsed.ok) return { file, valid: false, entities: 0, mistakes: parsed.places() }
  return { file, valid: true, entities: parsed.entities.length, mistakes: [] }
}

/** A file's text, or why it cannot be read. */
function readFile(file: string): string | Error {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    return error as Error
  }
}

function reportText({ file, valid, entities, mistakes }: Report, isTerminal: boolean): string {
  if (valid) return `${file}: ${styled('green', 'valid', isTerminal)}, ${counted(entities, 'entity', 'entities')}\n`
  return `${mistakeLines(file, mistakes, isTerminal)}${file}: ${counted(mistakes.length, 'mistake', 'mistakes')}\n`
}

const counted = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`

/** Lines as compilers write them, so that editors find the places. */
function mistakeLines(file: string, mistakes: readonly PlacedMistake[], isTerminal: boolean): string {
  const lines = mistakes.map(({ line, column, path, message }) => {
    const where = path.length > 0 ? `${pathText(path)}: ` : ''
    return `${file}:${line}:${column}: ${where}${styled('red', printable(message), isTerminal)}\n`
  })
  return lines.join('')
}

/** `services[0].routes[1].paths[0]` */
const pathText = (path: readonly (string | number)[]): string =>
  path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${printable(step)}`))
    .join('')

/** A file may come from a stranger: what it says must not steer the terminal. */
const printable = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) => JSON.stringify(character).slice(1, -1))

async function exportStore(context: CommandContext, args: readonly string[]): Promise<number> {
  const { stdout, stderr, values, json } = context
  if (args.length > 0) {
    stderr.write('gibbon config export: a file to write to is named with -o FILE\n')
    return exitStatus.usage
  }
  const loaded = readSettings(context)
  if (!loaded) return exitStatus.usage
  const file = storeFile(loaded.settings)
  if (!existsSync(file)) {
    stderr.write(`gibbon: there is no store at ${file}\n`)
    return exitStatus.failed
  }
  const text = await exported(loaded.settings, values['with-secrets'] === true, json).catch((error: Error) => error)
  if (text instanceof Error) {
    stderr.write(`gibbon: ${text.message}\n`)
    return exitStatus.failed
  }
  const out = values['out']
  if (typeof out !== 'string') {
    stdout.write(text)
    return exitStatus.done
  }
  return written(out, text, context)
}

async function exported(settings: Settings, withSecrets: boolean, json: boolean): Promise<string> {
  const { exportData, exportDeclarative } = await import('../config/declarative-export.ts')
  const { storeKinds } = await import('../config/kinds.ts')
  const { readKeyring } = await import('../store/keyring.ts')
  const { indexesOf } = await import('../store/kinds.ts')
  const { masking, openSealed } = await import('../store/sealed.ts')
  const { openReader } = await import('../store/sqlite/reader.ts')
  const file = openReader(storeFile(settings), indexesOf(storeKinds))
  try {
    const reader = withSecrets
      ? openSealed(file, { keyring: readKeyring(settings), kinds: storeKinds })
      : masking(file, storeKinds)
    return json ? `${JSON.stringify(exportData(reader), undefined, 2)}\n` : exportDeclarative(reader)
  } finally {
    file.close()
  }
}

/** Whole or not at all, and for its owner's eyes: there may be secrets in it. */
function written(out: string, text: string, { stdout, stderr }: CommandContext): number {
  const beside = `${out}.${process.pid}.new`
  try {
    writeFileSync(beside, text, { mode: 0o600, flag: 'wx' })
    renameSync(beside, out)
  } catch (error) {
    rmSync(beside, { force: true })
    stderr.write(`gibbon: cannot write ${out}: ${(error as Error).message}\n`)
    return exitStatus.failed
  }
  stdout.write(`gibbon: exported to ${out}\n`)
  return exitStatus.done
}

async function importFile(context: CommandContext, args: readonly string[]): Promise<number> {
  const { stdout, stderr, values, isTerminal, json } = context
  const [file, ...more] = args
  if (file === undefined || more.length > 0) {
    stderr.write('gibbon config import: name one file\n')
    return exitStatus.usage
  }
  const text = readFile(file)
  if (text instanceof Error) {
    stderr.write(`gibbon: ${text.message}\n`)
    return exitStatus.failed
  }
  const { importInto, importThrough } = await import('./config-import.ts')
  const admin = values['admin']
  const loaded = readSettings(context)
  if (!loaded) return exitStatus.usage
  const { settings } = loaded
  const format = configFormat(file)
  const outcome =
    typeof admin === 'string'
      ? await importThrough({ url: admin, headers: adminHeaders(context) }, settings, text, format)
      : await importInto(settings, text, format)
  if ('refusal' in outcome) {
    stderr.write(refusalText(file, outcome.refusal, isTerminal))
    return exitStatus.failed
  }
  if ('problem' in outcome) {
    stderr.write(`gibbon: ${printable(outcome.problem)}\n`)
    return exitStatus.failed
  }
  const { entities } = outcome
  stdout.write(
    json
      ? `${JSON.stringify({ file, entities })}\n`
      : `gibbon: imported ${counted(entities, 'entity', 'entities')} from ${file}\n`,
  )
  return exitStatus.done
}

const refusalText = (file: string, refusal: Refusal, isTerminal: boolean): string => {
  const mistakes = refusal.places()
  return `${mistakeLines(file, mistakes, isTerminal)}gibbon: ${file} has ${counted(mistakes.length, 'mistake', 'mistakes')}; nothing was imported\n`
}
