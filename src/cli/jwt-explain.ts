/** `gibbon jwt explain`: what the gateway would say of a token, and why. It never prints a secret. */
import { readFile } from 'node:fs/promises'
import { bearerToken } from '../plugins/jwt/locations.ts'
import { decodeToken, parsePart } from '../plugins/jwt/token.ts'
import { credentialKey } from '../plugins/jwt/verification.ts'
import { adminHeaders, adminTokenOption } from './admin-client.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { explainToken, type Explanation, type ExplainedStep } from './jwt-explanation.ts'
import {
  type JwtPlugin,
  plainConfig,
  type Source,
  sourceFromFile,
  sourceFromGateway,
  type Unreadable,
} from './jwt-sources.ts'
import { momentForms, momentOf } from './jwt-time.ts'
import { bold, columns, styled } from './terminal.ts'

const defaultAdmin = 'http://127.0.0.1:8001'

export const command: Command = {
  name: 'jwt explain',
  summary: 'Tell what the gateway would say of a token, step by step, and why',
  usage: `jwt explain [options] TOKEN

Asks a running gateway for its jwt plugins and the token's credential, or reads them from a file.
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
  const plugins = chosen(source, values['on'])
  if (plugins.length === 0) return fail(`no jwt plugin is called ${JSON.stringify(values['on'])}`, exitStatus.failed)
  const explained = await explainAll(token, plugins, source, now)
  if ('problem' in explained) return fail(explained.problem, exitStatus.failed)
  const notes = notesOn(source, now, clock())
  print(context, token, explained, notes)
  return explained.every(({ explanation }) => explanation.accepted) ? exitStatus.done : exitStatus.failed
}

interface Explained {
  readonly plugin: JwtPlugin
  readonly explanation: Explanation
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

/** The plugins asked for; where there is no jwt plugin at all, one as it would be with nothing set. */
function chosen({ plugins }: Source, name: CommandContext['values'][string]): readonly JwtPlugin[] {
  if (name !== undefined) return plugins.filter(({ names }) => names.includes(String(name)))
  if (plugins.length > 0) return plugins
  return [
    { id: '', scope: 'nothing yet: as it would be with nothing set', names: [], enabled: true, config: plainConfig() },
  ]
}

async function explainAll(
  text: string,
  plugins: readonly JwtPlugin[],
  source: Source,
  now: number,
): Promise<Explained[] | Unreadable> {
  const token = decodeToken(text)
  const keys = new Set<string>()
  for (const { config } of plugins) {
    const key = typeof token === 'string' ? undefined : credentialKey(token, config.key_claim_name ?? 'iss')
    if (typeof key === 'object') keys.add(key.text)
  }
  const entities = await source.entities(keys)
  if ('problem' in entities) return entities
  const explained: Explained[] = []
  for (const plugin of plugins)
    explained.push({ plugin, explanation: await explainToken(text, plugin.config, entities, now) })
  return explained
}

function notesOn({ clock }: Source, now: number, own: number): string[] {
  if (clock === undefined || Number.isNaN(clock)) return [`judged at ${now}, by this machine's clock`]
  const difference = clock - own
  if (Math.abs(difference) <= 1) return [`judged at ${now}, by the gateway's clock, which agrees with this machine's`]
  const relation = difference > 0 ? 'ahead of' : 'behind'
  return [`judged at ${now}, by the gateway's clock, which is ${Math.abs(difference)} s ${relation} this machine's`]
}

function print(
  { stdout, json, isTerminal }: CommandContext,
  token: string,
  explained: readonly Explained[],
  notes: readonly string[],
): void {
  const { header, claims } = contentOf(token)
  if (json) {
    const plugins = explained.map(({ plugin: { id, scope, enabled }, explanation }) => ({
      id,
      scope,
      enabled,
      ...explanation,
    }))
    stdout.write(`${JSON.stringify({ header, claims, notes, plugins })}\n`)
    return
  }
  if (header !== undefined)
    stdout.write(
      columns([
        ['header', printable(header)],
        ['claims', printable(claims)],
      ]),
    )
  for (const note of notes) stdout.write(`${note}\n`)
  for (const { plugin, explanation } of explained) {
    const disabled = plugin.enabled ? '' : ', which is disabled'
    stdout.write(`\n${bold(`jwt plugin ${plugin.id} on ${printableText(plugin.scope)}${disabled}`, isTerminal)}\n`)
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

function verdict({ answer, anonymous, upstreamHeaders }: Explanation, isTerminal: boolean): string {
  if (answer === null) {
    const lines = upstreamHeaders.map(([name, value]) => `  ${name}: ${printableText(value)}\n`)
    return `${styled('green', 'let in', isTerminal)}; the upstream gets\n${lines.join('')}`
  }
  const refusal = `${styled('red', String(answer.status), isTerminal)} ${printable(answer.body)}\n`
  if (anonymous !== null) return `goes on as the anonymous consumer ${printable(anonymous)} in place of ${refusal}`
  return `${refusal}  WWW-Authenticate: ${printableText(answer.challenge)}\n`
}

/** What the first two parts hold, shown even where the plugin would refuse them. */
function contentOf(text: string): { readonly header?: unknown; readonly claims?: unknown } {
  const [header, claims] = text.split('.', 2).map((part) => parsePart(part))
  return { ...(header && { header: header.value }), ...(claims && { claims: claims.value }) }
}

const printable = (value: unknown): string => printableText(JSON.stringify(value))

/** Without characters that would do something to a terminal or turn its lines around: a token is a stranger's text. */
function printableText(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  )
}
