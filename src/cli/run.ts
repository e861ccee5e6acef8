import { parseArgs } from 'node:util'
import { didYouMean } from '../config/nearest.ts'
import { type Command, type CommandContext, type CommandOptions, exitStatus, type Io, isTerminal } from './command.ts'
import { commandHelp } from './help.ts'

const common = {
  help: { type: 'boolean', short: 'h', help: 'show this help' },
  json: { type: 'boolean', help: 'print for programs, as JSON' },
} as const satisfies CommandOptions

/** Parses a command's arguments and runs it; what is mistyped is told on stderr. Never throws for what a user did. */
export async function run(command: Command, argv: string[], io: Io): Promise<number> {
  const options: CommandOptions = { ...common, ...command.options }
  const parsed = parse(argv, options)
  if ('error' in parsed) {
    io.stderr.write(`gibbon ${command.name}: ${parsed.error}\n`)
    io.stderr.write(`Try: gibbon ${command.name} --help\n`)
    return exitStatus.usage
  }
  if (parsed.values['help']) {
    io.stdout.write(commandHelp(command, options, isTerminal(io)))
    return exitStatus.done
  }
  const { stdout, stderr, env } = io
  const json = parsed.values['json'] === true
  return command.run({ ...parsed, stdout, stderr, env, isTerminal: isTerminal(io), json })
}

type Parsed = Pick<CommandContext, 'args' | 'values'> | { readonly error: string }

function parse(argv: string[], options: CommandOptions): Parsed {
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, strict: true })
    return { args: positionals, values }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error
    const unknown = code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && /'(--?[^' ]+)/.exec(message)?.[1]
    if (!unknown) return { error: message }
    const names = Object.keys(options).map((name) => `--${name}`)
    return { error: `no option ${unknown}${didYouMean(unknown, names)}` }
  }
}
