/** `gibbon jwt revoke`: takes tokens back before their end. */
import { readFileSync } from 'node:fs'
import { mostLeeway } from '../plugins/jwt/extension-schema.ts'
import { decodeToken } from '../plugins/jwt/token.ts'
import { jwt_revocations, longestHold, revocationId, revokedTokens } from '../plugins/jwt/revocations-schema.ts'
import { checkInsert, errorMessage } from '../schema/check.ts'
import type { Stored } from '../store/store.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { momentForms, momentOf } from './jwt-time.ts'
import { onPrefix } from './on-prefix.ts'
import { settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'jwt revoke',
  summary: 'Take tokens back before their end',
  usage: `jwt revoke TOKEN [--for TIME]
       gibbon jwt revoke --sub SUBJECT [--iss ISSUER] [--before TIME] --for TIME
       gibbon jwt revoke --sid SESSION [--iss ISSUER] --for TIME
       gibbon jwt revoke --credential KEY | --iss ISSUER [--before TIME] --for TIME

  Refuses one token by its jti, all of a session, or all of a subject, a credential or an issuer that were issued until now. In force in every
  worker when the command returns, for jwt plugins with check_revocation = true. A gateway may run on the prefix or not.
  It holds for as long as --for says, after which tokens that have not ended by then are good again; of one token it holds until
  that has ended. The same once more takes its place.
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
      help: 'how long it holds, such as +1d: until its last token has ended; ever, where they have no end',
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
      const until = new Date(Number(made['until']) * 1000).toISOString().replace('.000Z', 'Z')
      stdout.write(json ? `${JSON.stringify(made)}\n` : `gibbon: revoked ${told(made)} until ${until}\n`)
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
  const hold = holdOf(values['for'], now)
  if (typeof hold === 'string') return hold
  const [text] = typeof file === 'string' ? [readFileSync(file, 'utf8').trim()] : args
  if (text !== undefined) return ofToken(text, now, hold)
  if ([sub, sid, credential, iss].every((value) => value === undefined))
    return 'give a token, or --sub, --sid, --credential or --iss'
  // As the Admin API has it: what was issued in the present second is over, too.
  const at = typeof before === 'string' ? momentOf(before, now) : Math.floor(now) + 1
  if (at === undefined) return `--before is not ${momentForms}`
  if (hold === undefined) return `say with --for how long its tokens live at most: ${holdForms}`
  return {
    ...(sub !== undefined && { sub }),
    ...(credential !== undefined && { credential }),
    ...(iss !== undefined && { iss }),
    ...(sid !== undefined && { sid }),
    // A session is over whenever its tokens were issued.
    ...((sid === undefined || before !== undefined) && { before: at }),
    ttl: hold,
  }
}

const holdForms = `${momentForms}, or ever`

/** For how many seconds it is to hold; undefined where that is not said. */
function holdOf(text: unknown, now: number): number | undefined | Problem {
  if (typeof text !== 'string') return undefined
  const until = text === 'ever' ? now + longestHold : momentOf(text, now)
  return until !== undefined && until > now ? until - now : `--for wants a time to come: ${holdForms}`
}

function ofToken(text: string, now: number, hold: number | undefined): Wanted | Problem {
  const token = decodeToken(text)
  if (typeof token === 'string') return `that is no token: ${token}`
  const { jti, iss, exp } = token.claims
  if (typeof jti !== 'string') return 'the token has no jti: revoke its subject, credential or issuer'
  // Plugins may let clocks differ by as much, and this one may be wrong, too.
  const rest = typeof exp === 'number' && Number.isFinite(exp) ? Math.ceil(exp - now) + mostLeeway + 60 : hold
  if (rest === undefined) return `the token has no end: say with --for how long to refuse it: ${holdForms}`
  if (rest <= 0) return 'the token has ended by itself'
  return { jti, ...(typeof iss === 'string' && { iss }), ttl: Math.min(rest, longestHold) }
}

/** The same tokens have the same id, so that they can be revoked again with a later time. */
function withId(wanted: Wanted): Stored | Problem {
  const checked = checkInsert(jwt_revocations, { ...wanted, id: revocationId(revokedTokens(wanted)) })
  return checked.ok ? (checked.value as Stored) : errorMessage(checked.errors)
}
