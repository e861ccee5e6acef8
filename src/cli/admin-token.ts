/** `gibbon admin-token`: tokens of the Admin API made, listed and taken back, while a gateway runs or not. */
import { didYouMean } from '../config/nearest.ts'
import type { ShownToken } from '../store/admin-tokens.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { momentForms, momentOf } from './jwt-time.ts'
import { onPrefix } from './on-prefix.ts'
import { columns } from './terminal.ts'
import { settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'admin-token',
  summary: 'Make, list and revoke tokens of the Admin API',
  usage: `admin-token create NAME [--role ROLE] [--expires WHEN]
       gibbon admin-token list
       gibbon admin-token revoke NAME

  create prints the new token, which is kept nowhere: the store has only a hash of it. Clients send it in the header
  Kong-Admin-Token, decK by --headers "Kong-Admin-Token:TOKEN". Tokens are asked for where admin_tokens = required.
  revoke takes effect at once. All of it works while a gateway runs on the prefix and while none does.`,
  options: {
    ...settingsOptions,
    role: { type: 'string', value: 'ROLE', help: 'admin (the default), or read-only' },
    expires: { type: 'string', value: 'WHEN', help: `when it ends: ${momentForms}` },
  },
  async run(context) {
    const [name = '', ...args] = context.args
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action) return action(context, args)
    const names = Object.keys(actions)
    const problem = name === '' ? `say what: ${names.join(', ')}` : `no ${name}${didYouMean(name, names)}`
    return misused(context, problem)
  },
}

type Action = (context: CommandContext, args: readonly string[]) => number | Promise<number>

const actions: { readonly [name: string]: Action } = { create, list, revoke }

function misused({ stderr }: CommandContext, problem: string): number {
  stderr.write(`gibbon admin-token: ${problem}\nTry: gibbon admin-token --help\n`)
  return exitStatus.usage
}

async function create(context: CommandContext, [name, ...more]: readonly string[]): Promise<number> {
  const { values, stdout, stderr, json } = context
  if (name === undefined || more.length > 0) return misused(context, 'create: name whom the token is for, in one word')
  const { role, expires } = values
  const ttl = typeof expires === 'string' ? secondsUntil(expires) : undefined
  if (ttl !== undefined && !(ttl > 0)) return misused(context, `--expires wants a time to come: ${momentForms}`)
  const body = { name, ...(role !== undefined && { role }), ...(ttl !== undefined && { ttl }) }
  return onPrefix(
    context,
    {
      running: (ask) => ask('POST', '/admin-tokens', body),
      stopped: async (store) => (await import('../store/admin-tokens.ts')).createAdminToken(store, body),
    },
    ({ token, made }: { token: string; made: ShownToken }, settings) => {
      stdout.write(json ? `${JSON.stringify({ ...made, token })}\n` : `${token}\n`)
      if (settings.admin_tokens === 'off')
        stderr.write('gibbon: tokens are not asked for yet: set admin_tokens = required and start the gateway anew\n')
    },
  )
}

const secondsUntil = (text: string): number => {
  const now = Math.floor(Date.now() / 1000)
  return (momentOf(text, now) ?? now) - now
}

function list(context: CommandContext, args: readonly string[]): number | Promise<number> {
  if (args.length > 0) return misused(context, 'list takes no arguments')
  return onPrefix(
    context,
    {
      running: (ask) => ask('GET', '/admin-tokens'),
      stopped: async ({ reader }) => ({ data: (await import('../store/admin-tokens.ts')).listAdminTokens(reader) }),
    },
    ({ data }: { data: readonly ShownToken[] }) => {
      const { stdout, json } = context
      if (json) return void stdout.write(`${JSON.stringify(data)}\n`)
      const rows = data.map((token) => [token.name, token.role, dateOf(token.created_at), endOf(token), token.id])
      stdout.write(columns([['name', 'role', 'created', 'ends', 'id'], ...rows]))
    },
  )
}

const dateOf = (seconds: number | null): string => new Date((seconds ?? 0) * 1000).toISOString().replace(/\.\d+Z/, 'Z')

const endOf = ({ ttl }: ShownToken): string => (ttl === null ? 'never' : dateOf(Math.floor(Date.now() / 1000) + ttl))

function revoke(context: CommandContext, [name, ...more]: readonly string[]): number | Promise<number> {
  if (name === undefined || more.length > 0) return misused(context, 'revoke: give one name or id')
  return onPrefix(
    context,
    {
      running: (ask) => ask('DELETE', `/admin-tokens/${encodeURIComponent(name)}`),
      stopped: async (store) => (await import('../store/admin-tokens.ts')).revokeAdminToken(store, name),
    },
    ({ revoked }: { revoked: ShownToken }) => {
      const { stdout, json } = context
      stdout.write(json ? `${JSON.stringify({ revoked })}\n` : `gibbon: revoked ${revoked.name}\n`)
    },
  )
}
