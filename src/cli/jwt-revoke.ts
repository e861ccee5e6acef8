/** `gibbon jwt revoke`: takes tokens back before their end. */
import { readFileSync } from 'node:fs'
import { decodeToken } from '../plugins/jwt/token.ts'
import { jwt_revocations, revocationKey, type RevokedTokens } from '../plugins/jwt/revocations-schema.ts'
import { checkInsert, errorMessage } from '../schema/check.ts'
import type { Stored } from '../store/store.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { momentForms, momentOf } from './jwt-time.ts'
import { onPrefix } from './on-prefix.ts'
import { settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'jwt revoke',
  summary: 'Take tokens back before their end',
  usage: `jwt revoke TOKEN
       gibbon jwt revoke --sub SUBJECT [--iss ISSUER] [--before TIME] [--for TIME]
       gibbon jwt revoke --credential KEY | --iss ISSUER [--before TIME] [--for TIME]

  Refuses one token by its jti, or all of a subject, a credential or an issuer that were issued until now. In force in every
  worker when the command returns, for jwt plugins with check_revocation = true. A gateway may run on the prefix or not.
  GET /jwt-revocations of the Admin API lists what was taken back, and DELETE gives it back.`,
  options: {
    ...settingsOptions,
    'token-file': { type: 'string', value: 'FILE', help: 'read the token from a file' },
    sub: { type: 'string', value: 'SUBJECT', help: 'all tokens of this subject' },
    credential: { type: 'string', value: 'KEY', help: 'all tokens of the jwt credential with this key' },
    iss: { type: 'string', value: 'ISSUER', help: 'only tokens of this issuer; alone, all of them' },
    before: { type: 'string', value: 'TIME', help: `those issued before that time, in place of now: ${momentForms}` },
    for: {
      type: 'string',
      value: 'TIME',
      help: 'how long to remember it, such as +1d: until its last token has ended',
    },
  },
  run: (context) => revoke(context),
}

async function revoke(context: CommandContext): Promise<number> {
  const misused = (problem: string): number => {
    context.stderr.write(`gibbon jwt revoke: ${problem}\nTry: gibbon jwt revoke --help\n`)
    return exitStatus.usage
  }
  const wanted = wantedOf(context, Math.floor(Date.now() / 1000))
  if (typeof wanted === 'string') return misused(wanted)
  const entity = withId(wanted)
  if (typeof entity === 'string') return misused(entity)
  return onPrefix(
    context,
    {
      running: (ask) => ask('PUT', `/jwt-revocations/${entity.id}`, wanted),
      stopped: async (store) => {
        const written = await store.write([{ do: 'upsert', kind: jwt_revocations.name, entity }])
        return written.ok ? entity : { problem: JSON.stringify(written.error) }
      },
    },
    (made: Stored) => {
      const { stdout, json } = context
      stdout.write(json ? `${JSON.stringify(made)}\n` : `gibbon: revoked ${told(made)}\n`)
    },
  )
}

const told = ({ jti, sub, credential, iss }: Stored): string =>
  Object.entries({ jti, sub, credential, iss })
    .flatMap(([name, value]) => (typeof value === 'string' ? [`${name} ${JSON.stringify(value)}`] : []))
    .join(' of ')

type Wanted = Readonly<Record<string, unknown>>
type Problem = string

function wantedOf({ args, values }: CommandContext, now: number): Wanted | Problem {
  const { sub, credential, iss, before } = values
  const file = values['token-file']
  if (args.length > 1) return 'one token at a time'
  const [text] = typeof file === 'string' ? [readFileSync(file, 'utf8').trim()] : args
  if (text !== undefined) return ofToken(text, now)
  if (sub === undefined && credential === undefined && iss === undefined)
    return 'give a token, or --sub, --credential or --iss'
  const at = typeof before === 'string' ? momentOf(before, now) : now
  const until = typeof values['for'] === 'string' ? momentOf(values['for'], now) : undefined
  if (at === undefined) return `--before is not ${momentForms}`
  if (values['for'] !== undefined && !(until !== undefined && until > now))
    return `--for wants a time to come: ${momentForms}`
  return {
    ...(sub !== undefined && { sub }),
    ...(credential !== undefined && { credential }),
    ...(iss !== undefined && { iss }),
    before: at,
    ...(until !== undefined && { ttl: until - now }),
  }
}

function ofToken(text: string, now: number): Wanted | Problem {
  const token = decodeToken(text)
  if (typeof token === 'string') return `that is no token: ${token}`
  const { jti, iss, exp } = token.claims
  if (typeof jti !== 'string') return 'the token has no jti: revoke its subject, credential or issuer'
  if (typeof exp === 'number' && exp <= now) return 'the token has ended by itself'
  // A minute more than its time, for clocks and leeways.
  const ttl = typeof exp === 'number' && exp - now < 1e9 ? Math.ceil(exp - now) + 60 : undefined
  return { jti, ...(typeof iss === 'string' && { iss }), ...(ttl !== undefined && { ttl }) }
}

/** The same tokens have the same id, so that they can be revoked again with a later time. */
function withId(wanted: Wanted): Stored | Problem {
  const checked = checkInsert(jwt_revocations, { ...wanted, id: idOf(wanted) })
  return checked.ok ? (checked.value as Stored) : errorMessage(checked.errors)
}

function idOf(wanted: Wanted): string {
  const what = (['jti', 'sub', 'credential', 'iss'] as const).find((name) => wanted[name] !== undefined) ?? 'iss'
  const iss = what === 'jti' || what === 'sub' ? wanted['iss'] : undefined
  const tokens: RevokedTokens = [what, String(wanted[what]), typeof iss === 'string' ? iss : null]
  const hex = Buffer.from(revocationKey(tokens), 'base64url').toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}
