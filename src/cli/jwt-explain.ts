/** `gibbon jwt explain`: what the gateway would say of a token, and why. It never prints a secret. */
import { readFile } from 'node:fs/promises'
import type { ExplainedStep, Explanation } from '../plugins/jwt/explanation.ts'
import { bearerToken } from '../plugins/jwt/locations.ts'
import type { Report } from '../plugins/jwt/report.ts'
import { adminHeaders, adminTokenOption } from './admin-client.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { type Source, sourceFromFile, sourceFromGateway, type Unreadable } from './jwt-sources.ts'
import { momentForms, momentOf } from './jwt-time.ts'
import { bold, columns, styled } from './terminal.ts'

const defaultAdmin = 'http://127.0.0.1:8001'

export const command: Command = {
  name: 'jwt explain',
  summary: 'Tell what the gateway would say of a token, step by step, and why',
  usage: `jwt explain [options] TOKEN

Asks a running gateway (POST /jwt/explain of its Admin API), or judges by a file.
The exit status is 0 where every plugin shown lets the token in, 1 where one does not.`,
  options: {
    admin: { type: 'string', help: `the gateway's Admin API (default ${defaultAdmin})`, value: 'URL' },
    ...adminTokenOption,
    file: { type: 'string', help: 'a declarative file, YAML or JSON, in place of a gateway', value: 'FILE' },
    on: {
      type: 'string',
      help: 'only the plugin with that id or instance name, or on that route or service',
      value: 'NAME',
    },
    'token-file': {
      type: 'string',
      help: 'read the token from a file; others on this machine may see an argument',
      value: 'FILE',
    },
    now: { type: 'string', help: `judge the token at another time: ${momentForms}`, value: 'TIME' },
  },
  run: (context) => explain(context),
}

/** Explains as the options say and prints it; the clock comes in as seconds since 1970. */
export async function explain(context: CommandContext, clock = () => Math.floor(Date.now() / 1000)): Promise<number> {
  const { values, stderr } = context
  const fail = (problem: string, status: number): number => {
    stderr.write(`gibbon jwt explain: ${problem}\n`)
    return status
  }
  const token = await tokenOf(context)
  if (typeof token !== 'string') return fail(token.problem, exitStatus.usage)
  const source = await sourceOf(values)
  if ('problem' in source) return fail(source.problem, exitStatus.failed)
  const from = source.clock !== undefined && Number.isFinite(source.clock) ? source.clock : clock()
  const now = values['now'] === undefined ? from : momentOf(String(values['now']), from)
  if (now === undefined) return fail(`--now ${String(values['now'])} is not ${momentForms}`, exitStatus.usage)
  const on = values['on'] === undefined ? undefined : String(values['on'])
  const report = await source.ask({ token, on, now })
  if ('problem' in report) return fail(report.problem, exitStatus.failed)
  print(context, report, notesOn(source, now, clock()))
  return report.plugins.every(({ accepted }) => accepted) ? exitStatus.done : exitStatus.failed
}

async function tokenOf({ args, values }: CommandContext): Promise<string | Unreadable> {
  const [given, ...more] = args
  if (more.length > 0) return { problem: 'one token at a time; quote it where it has spaces' }
  const file = values['token-file']
  if ((given === undefined) === (file === undefined)) return { problem: 'give the token, or --token-file' }
  try {
    const text = (given ?? (await readFile(String(file), 'utf8'))).trim()
    return bearerToken(text) ?? text
  } catch (error) {
    return { problem: `--token-file: ${(error as Error).message}` }
  }
}

async function sourceOf(values: CommandContext['values']): Promise<Source | Unreadable> {
  const { file, admin = defaultAdmin } = values
  if (file !== undefined) return sourceFromFile(String(file))
  try {
    return await sourceFromGateway(String(admin), adminHeaders({ values }))
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

function notesOn({ clock }: Source, now: number, own: number): string[] {
  if (clock === undefined || Number.isNaN(clock)) return [`judged at ${now}, by this machine's clock`]
  const difference = clock - own
  if (Math.abs(difference) <= 1) return [`judged at ${now}, by the gateway's clock, which agrees with this machine's`]
  const relation = difference > 0 ? 'ahead of' : 'behind'
  return [`judged at ${now}, by the gateway's clock, which is ${Math.abs(difference)} s ${relation} this machine's`]
}

function print({ stdout, json, isTerminal }: CommandContext, report: Report, notes: readonly string[]): void {
  const { header, claims, plugins } = report
  if (json) return void stdout.write(`${JSON.stringify({ ...report, notes })}\n`)
  if (header !== undefined)
    stdout.write(
      columns([
        ['header', printable(header)],
        ['claims', printable(claims)],
      ]),
    )
  for (const note of notes) stdout.write(`${note}\n`)
  for (const { id, scope, enabled, ...explanation } of plugins) {
    const disabled = enabled ? '' : ', which is disabled'
    stdout.write(`\n${bold(`jwt plugin ${id} on ${printableText(scope)}${disabled}`, isTerminal)}\n`)
    stdout.write(columns(explanation.steps.map((step) => row(step, isTerminal))))
    for (const hint of explanation.hints) stdout.write(`hint: ${printableText(hint)}\n`)
    stdout.write(verdict(explanation, isTerminal))
  }
}

const marks: Readonly<Record<ExplainedStep['outcome'], readonly [mark: string, style: 'green' | 'red' | 'dim']>> = {
  passed: ['ok', 'green'],
  failed: ['FAILED', 'red'],
  'not reached': ['-', 'dim'],
}

function row({ step, outcome, reason }: ExplainedStep, isTerminal: boolean): string[] {
  const [mark, style] = marks[outcome]
  return [`  ${styled(style, mark, isTerminal)}`, step, printableText(reason)]
}

function verdict({ accepted, answer, anonymous, upstream_headers }: Explanation, isTerminal: boolean): string {
  if (accepted === null) return 'let in or refused by what its issuer says\n'
  if (answer === null) {
    const lines = upstream_headers.map(([name, value]) => `  ${name}: ${printableText(value)}\n`)
    return `${styled('green', 'let in', isTerminal)}; the upstream gets\n${lines.join('')}`
  }
  const refusal = `${styled('red', String(answer.status), isTerminal)} ${printable(answer.body)}\n`
  if (anonymous !== null) return `goes on as the anonymous consumer ${printable(anonymous)} in place of ${refusal}`
  return `${refusal}  WWW-Authenticate: ${printableText(answer.challenge)}\n`
}

const printable = (value: unknown): string => printableText(JSON.stringify(value) ?? '')

/** Without characters that would do something to a terminal or turn its lines around: a token is a stranger's text. */
function printableText(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  )
}
