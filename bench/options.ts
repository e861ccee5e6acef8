import { parseArgs } from 'node:util'

export interface Options {
  /** Rounds that count. */
  readonly rounds: number
  /** Length of one measurement. */
  readonly seconds: number
  readonly connections: number
  /** Which subjects, by name. */
  readonly only: RegExp | undefined
  readonly sections: readonly Section[]
  /** Whether peers that come from package registries are installed where they are missing. */
  readonly install: boolean
  /** Whether instructions are counted, at the price of the times. */
  readonly instructions: boolean
  /** Where the result is written. */
  readonly json: string | undefined
  readonly check: boolean
}

/** Parts of a run. */
export const sections = [
  'requests',
  'bodies',
  'tls',
  'http2',
  'cores',
  'logs',
  'latency',
  'floods',
  'idle',
  'credentials',
] as const
export type Section = (typeof sections)[number]
/** This one takes minutes and gigabytes. */
const onlyWhenNamed: readonly Section[] = ['credentials']

const help = `npm run bench -- [options]

  --rounds N         rounds that count; every subject once in each (default 5)
  --seconds S        length of one measurement (default 3)
  --connections C    kept-alive connections (default 32)
  --only REGEX       subjects by name, such as 'nginx|HS256'
  --sections A,B     parts of the run: ${sections.join(', ')} (default all but ${onlyWhenNamed.join(', ')})
  --no-floods        leave out the floods of bad tokens
  --no-install       leave out the peers that would have to be installed
  --instructions     count instructions in place of a true time: counting makes some gateways half as slow again
  --json FILE        write the result as JSON
  --check            exit with 1 where a wanted ratio is missed or cannot be told
`

/** Reads the command line; a wrong one ends the process with a line that says why. */
export function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({ args, options: known })
    if (values.help) {
      process.stdout.write(help)
      process.exit(0)
    }
    return {
      rounds: positive('rounds', values.rounds),
      seconds: positive('seconds', values.seconds),
      connections: positive('connections', values.connections),
      only: values.only === undefined ? undefined : new RegExp(values.only, 'i'),
      sections: chosen(values.sections).filter((section) => section !== 'floods' || !values['no-floods']),
      install: !values['no-install'],
      instructions: values.instructions,
      json: values.json,
      check: values.check,
    }
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${help}`)
    process.exit(2)
  }
}

const known = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  connections: { type: 'string', default: '32' },
  only: { type: 'string' },
  sections: { type: 'string' },
  'no-floods': { type: 'boolean', default: false },
  'no-install': { type: 'boolean', default: false },
  json: { type: 'string' },
  instructions: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

function chosen(text: string | undefined): readonly Section[] {
  if (text === undefined) return sections.filter((section) => !onlyWhenNamed.includes(section))
  return text.split(',').map((name) => {
    const section = sections.find((one) => one === name)
    if (!section) throw new Error(`--sections takes ${sections.join(', ')}, not "${name}"`)
    return section
  })
}

function positive(name: string, text: string): number {
  const number = Number(text)
  if (!(number > 0) || !Number.isFinite(number)) throw new Error(`--${name} must be a number above 0, not "${text}"`)
  return number
}
