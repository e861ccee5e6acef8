import { didYouMean } from '../config/nearest.ts'
import { type Command, type CommandOptions, exitStatus, type Io, isTerminal } from './command.ts'
import { bold, columns } from './terminal.ts'

type Commands = { readonly [name: string]: () => Promise<{ readonly command: Command }> }

// What people who come from Kong type, and what serves here in its place.
const kongCommands: { readonly [name: string]: string } = {
  check: 'gibbon settings -c FILE checks the settings',
  prepare: 'not needed: gibbon start makes what is missing under the prefix',
  quit: 'gibbon stop lets requests in flight end',
  restart: 'gibbon stop, then gibbon start',
}

/** Answers a command line that names no command: help, the version, or what was probably meant. */
export async function answerWithout(argv: readonly string[], commands: Commands, io: Io): Promise<number> {
  const [first = '--help', ...rest] = argv
  if (first === '--version' || first === '-v') {
    io.stdout.write(`${(await import('../version.ts')).version}\n`)
    return exitStatus.done
  }
  if (first === '--help' || first === '-h' || first === 'help') return help(rest.join(' '), commands, io)
  const family = Object.keys(commands).filter((name) => name.startsWith(`${first} `))
  if (family.length > 0) {
    const out = rest[0] === '--help' || rest[0] === '-h' ? io.stdout : io.stderr
    out.write(await listed(family, commands, isTerminal(io)))
    return out === io.stdout ? exitStatus.done : exitStatus.usage
  }
  io.stderr.write(`gibbon: ${unknown(first, commands)}\nTry: gibbon --help\n`)
  return exitStatus.usage
}

/** A command's page of help. */
export function commandHelp(command: Command, options: CommandOptions, onTerminal: boolean): string {
  const rows = Object.entries(options).map(([name, option]) => {
    const short = option.short ? `-${option.short}, ` : '    '
    return [`  ${short}--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`, option.help ?? '']
  })
  const heading = (text: string): string => bold(text, onTerminal)
  return `${command.summary}\n\n${heading('Usage')}\n  gibbon ${command.usage}\n\n${heading('Options')}\n${columns(rows)}`
}

async function help(name: string, commands: Commands, io: Io): Promise<number> {
  if (name === '') {
    io.stdout.write(await listed(Object.keys(commands), commands, isTerminal(io)))
    return exitStatus.done
  }
  if (!Object.hasOwn(commands, name)) {
    io.stderr.write(`gibbon: ${unknown(name, commands)}\n`)
    return exitStatus.usage
  }
  return (await import('./run.ts')).run((await commands[name]!()).command, ['--help'], io)
}

async function listed(names: readonly string[], commands: Commands, onTerminal: boolean): Promise<string> {
  const loaded = await Promise.all(names.map((name) => commands[name]!()))
  const rows = loaded.map(({ command }, index) => [`  ${names[index]}`, command.summary])
  const usage = `${bold('Usage', onTerminal)}\n  gibbon COMMAND [options]\n`
  return `${usage}\n${bold('Commands', onTerminal)}\n${columns(rows)}\ngibbon COMMAND --help tells more of each.\n`
}

function unknown(name: string, commands: Commands): string {
  if (name.startsWith('-')) return `no option ${name} without a command`
  if (Object.hasOwn(kongCommands, name)) return `no command ${name}: ${kongCommands[name]}`
  return `no command ${name}${didYouMean(name, Object.keys(commands))}`
}
