/** `gibbon jwt revoke`: takes tokens back before their end. */
import { readFileSync } from 'node:fs'
import { decodeToken } from '../plugins/jwt/token.ts'
import { jwt_revocations, revocationId, revokedTokens } from '../plugins/jwt/revocations-schema.ts'
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
       gibbon jwt revoke --sid SESSION [--iss ISSUER] [--for TIME]
       gibbon jwt revoke --credential KEY | --iss ISSUER [--before TIME] [--for TIME]

  Refuses one token by its jti, all of a session, or all of a subject, a credential or an issuer that were issued until now. In force in every
  worker when the command returns, for jwt plugins with check_revocation = true. A gateway may run on the prefix or not.
  GET /jwt-revocations of the Admin API lists what was taken back, and DELETE gives it back.`,
  options: {
    ...settingsOptions,
    'token-file': { type: 'string', value: 'FILE', help: 'read the token from a file' },
    sub: { type: 'string', value: 'SUBJECT', help: 'all tokens of this subject' },
    sid: { type: 'string', value: 'SESSION', help: 'all tokens of this session, whenever they were issued' },
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

const told = ({ jti, sub, sid, credential, iss }: Stored): string =>
  Object.entries({ jti, sub, sid, credential, iss })
    .flatMap(([name, value]) => (typeof value === 'string' ? [`${name} ${JSON.stringify(value)}`] : []))
    .join(' of ')

type Wanted = Readonly<Record<string, unknown>>
type Problem = string

function wantedOf({ args, values }: CommandContext, now: number): Wanted | Problem {
  const { sub, sid, credential, iss, before } = values
  const file = values['token-file']
  if (args.length > 1) return 'one token at a time'
  const [text] = typeof file === 'string' ? [readFileSync(file, 'utf8').trim()] : args
  if (text !== undefined) return ofToken(text, now)
  if ([sub, sid, credential, iss].every((value) => value === undefined))
    return 'give a token, or --sub, --sid, --credential or --iss'
  // As the Admin API has it: what was issued in the present second is over, too.
  const at = typeof before === 'string' ? momentOf(before, now) : Math.floor(now) + 1
  const until = typeof values['for'] === 'string' ? momentOf(values['for'], now) : undefined
  if (at === undefined) return `--before is not ${momentForms}`
  if (values['for'] !== undefined && !(until !== undefined && until > now))
    return `--for wants a time to come: ${momentForms}`
  return {
    ...(sub !== undefined && { sub }),
    ...(credential !== undefined && { credential }),
    ...(iss !== undefined && { iss }),
    ...(sid !== undefined && { sid }),
    // A session is over whenever its tokens were issued.
    ...((sid === undefined || before !== undefined) && { before: at }),
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
  const checked = checkInsert(jwt_revocations, { ...wanted, id: revocationId(revokedTokens(wanted)) })
  return checked.ok ? (checked.value as Stored) : errorMessage(checked.errors)
}
