/** What a plugin's config becomes when it is put in force: everything that need not be worked out for each request. */
import type { Answer } from '../../pdk/kong.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { invalidToken, type Refuse, refuserOf } from './answers.ts'
import { extensionOf, type Extension } from './extension.ts'
import { judgingNames } from './extension-schema.ts'
import type { ServedDocument } from '../../pdk/plugin.ts'
import { keySetOf, type KeySets } from './key-sets.ts'
import { locationsOf, type Locations } from './locations.ts'
import { metadataDocument } from './resource-metadata.ts'
import { refusals, type Refusal } from './refusals.ts'
import { eventReceiverOf, type EventReceiver } from './security-events.ts'
import type { schema } from './schema.ts'
import { timeErrors, type TimePolicy } from './times.ts'
import { jwksDocument } from './upstream-token.ts'
import type { TokenMemory, TokenSpace } from './tokens.ts'
import type { Policy } from './verification.ts'

/** The plugin's checked config. */
export type Config = ConfigOf<typeof schema>

export interface Ready {
  readonly locations: Locations
  readonly runsOnPreflight: boolean
  readonly anonymous: string | null
  readonly policy: Policy
  readonly times: TimePolicy
  readonly tokens: TokenSpace
  readonly answers: Readonly<Record<Refusal, Answer>>
  readonly timeAnswers: readonly (Answer | undefined)[]
  /** What is done beside Kong's; undefined where the config asks for none of it. */
  readonly extension: Extension | undefined
  /** In `mode: observe`, what requests are tried by beside what is in force. */
  readonly tried: Ready | undefined
  /** The plugin's id. */
  readonly plugin: string
  /** Who takes what issuers tell; undefined where nobody does. */
  readonly events: EventReceiver | undefined
  /** What the gateway serves for the config. */
  readonly documents: readonly ServedDocument[]
  /** The clock, in whole seconds since 1970. */
  readonly now: () => number
}

/** What a config is prepared with. */
export interface PrepareTools {
  readonly memory: TokenMemory
  /** The clock, in whole seconds since 1970. */
  readonly now: () => number
  /** The keys of issuers; without it those that this worker follows. */
  readonly keySets?: KeySets
}

/** Prepares the config of the plugin with this id. */
export function prepare(config: Config, plugin: string, tools: PrepareTools): Ready {
  if (config.mode !== 'observe') return readyOf(config, config, plugin, tools)
  const asked = triedOf(config)
  return { ...readyOf(kongsOf(config), config, plugin, tools), tried: readyOf(asked, asked, plugin, tools) }
}

/** What judges requests by one config, and serves what another says. */
function readyOf(
  judging: Config,
  serving: Config,
  plugin: string,
  { memory, now, keySets = keySetOf }: PrepareTools,
): Ready {
  const claim = judging.key_claim_name ?? 'iss'
  const refuse = refuserOf(judging)
  return {
    // In either mode, since clients have to change to `DPoP` before they are refused without.
    locations: locationsOf(serving),
    runsOnPreflight: judging.run_on_preflight,
    anonymous: judging.anonymous,
    policy: { ...policyOf(judging), keySets },
    times: timePolicyOf(judging),
    tokens: memory.space(),
    ...answersOf(claim, refuse),
    extension: extensionOf(judging, refuse, keySets),
    tried: undefined,
    plugin,
    events: eventReceiverOf(serving, keySets),
    documents: [metadataDocument(serving), jwksDocument(serving, now)].filter((document) => document !== undefined),
    now,
  }
}

/** What is in force of a config in `mode: observe`: Kong's fields, and what answers look like. */
export const kongsOf = (config: Config): Config => without(config, ['mode', 'leeway', ...judgingNames])

/** What is served, and what is done with a request that is let in. */
const actingNames: readonly (keyof Config)[] = [
  'authenticated_groups_claim',
  'hide_credentials',
  'log_claims',
  'resource_metadata',
  'security_events',
  'upstream_headers',
  'upstream_token',
]

/** What a config in `mode: observe` asks of tokens. No nonce: a client that is never refused is not told of any (RFC 9449 8). */
const triedOf = (config: Config): Config => ({
  ...without(config, actingNames),
  ...(config.dpop && { dpop: { ...config.dpop, nonce: false } }),
})

const without = (config: Config, names: readonly string[]): Config =>
  Object.fromEntries(Object.entries(config).filter(([name]) => !names.includes(name))) as Config

/** What is allowed but hardly meant, each in a sentence. */
export function odditiesOf(config: Config): readonly string[] {
  const { maximum_expiration, claims_to_verify } = config
  // Kong's schema forbids it and Kong does not notice, so that configurations hold it.
  const letsExpired = (maximum_expiration ?? 0) !== 0 && !claims_to_verify?.includes('exp')
  return [
    ...(letsExpired
      ? ['maximum_expiration is set, but claims_to_verify lacks exp: a token that has expired is let through']
      : []),
    ...(config.issuers && !asksForWhom(config)
      ? [
          'issuers is set, but audience_required is not: a token that such an issuer made for any other application is let through',
        ]
      : []),
  ]
}

/** RFC 8725 3.9: whether it is asked for whom a token was made, or at least to whom it was given. */
const asksForWhom = ({ audience_required, claim_rules }: Config): boolean =>
  audience_required !== undefined ||
  (claim_rules?.some((rule) => /\bclaims\."?(aud|azp|client_id|cid|appid)\b/.test(rule)) ?? false)

function policyOf(config: Config): Omit<Policy, 'keySets'> {
  return { keyClaimName: config.key_claim_name ?? 'iss', secretIsBase64: config.secret_is_base64 }
}

function timePolicyOf(config: Config): TimePolicy {
  const claims = config.claims_to_verify ?? []
  const maximumExpiration = config.maximum_expiration ?? 0
  // What is good once is remembered until it ends.
  const exp = claims.includes('exp') || config.single_use === true
  const nbf = claims.includes('nbf')
  const leeway = config.leeway ?? 0
  // What was taken back is forgotten when it has ended, and must not be good again.
  const endIfAny = config.check_revocation === true
  return { exp, nbf, maximumExpiration, leeway, any: exp || nbf || maximumExpiration > 0, endIfAny }
}

/** Every answer the config can give, made once: RFC 6750 3 wants no error in the challenge of a request without a token. */
function answersOf(claim: string, refuse: Refuse): Pick<Ready, 'answers' | 'timeAnswers'> {
  const entries = Object.entries(refusals).map(([name, { message }]) => [
    name,
    refuse(name, 401, { message: message(claim) }, ...(name === 'no token' ? [] : [invalidToken])),
  ])
  return {
    answers: Object.fromEntries(entries) as Record<Refusal, Answer>,
    timeAnswers: timeErrors.map((errors) => errors && refuse('times', 401, errors, invalidToken)),
  }
}
