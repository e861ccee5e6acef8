/**
 * What must hold of a token beside its signature and its times: each a rule with the answer to a token that breaks it, made
 * once. The first that is broken is told. Source: RFC 7519 section 4.1, RFC 7515 section 4.1.9, RFC 6750 section 3.1, RFC 8725.
 */
import { invalidToken, quoted, type Refuse, type Refused, refuserOf } from './answers.ts'
import { claimAt, type ClaimPath, satisfies, textOf, textsOf, type Wanted, wordsOf } from './claims.ts'
import { claimRule } from './claim-rules.ts'
import type { Config } from './ready.ts'
import type { Token } from './token.ts'

export interface Rule {
  readonly answer: Refused
  /** What is asked for, in words, and what of the token is looked at. */
  readonly asks: string
  value(token: Judged): unknown
  holds(token: Judged): boolean
}

type Judged = Pick<Token, 'header' | 'claims'>

/** The rules of a config, in the order in which they are looked at: who the token is from and for, then what it allows. */
export function rulesOf(config: Config, refuse: Refuse): Rule[] {
  return [
    ...typeRule(config.token_types, refuse),
    ...(config.issuers ? [noEventsRule(refuse)] : []),
    ...issuerRule(config.issuers_allowed, refuse),
    ...audienceRule(config.audience_required, config.audience_claim ?? ['aud'], refuse),
    ...(config.claims_required ?? []).map((name) => presenceRule(name, refuse)),
    ...(config.single_use ? [nameRule(refuse)] : []),
    ...rightsRule('scope', config.scopes_required, config.scopes_claim ?? ['scope'], refuse),
    ...rightsRule('role', config.roles_required, config.roles_claim ?? ['roles'], refuse),
    ...rightsRule('group', config.groups_required, config.groups_claim ?? ['groups'], refuse),
    ...(config.claim_rules ?? []).map((text, index) => expressionRule(text, index + 1, refuse)),
    ...(config.dpop?.required ? [boundRule('key', ['cnf', 'jkt'], refuserOf(config, 'DPoP'))] : []),
    ...(config.certificate_bound ? [boundRule('certificate', ['cnf', 'x5t#S256'], refuse)] : []),
  ]
}

/** That a token is bound at all; to what it is, each request has to show. Source: RFC 9449 section 6.1, RFC 8705 section 3.1. */
function boundRule(to: 'key' | 'certificate', path: ClaimPath, refuse: Refuse): Rule {
  return rule(invalid(refuse, 'unbound', `The token must be bound to a ${to}`), {
    asks: `${path.join('.')} must say which ${to} it is bound to`,
    value: ({ claims }) => claimAt(claims, path),
    good: (value) => typeof value === 'string',
  })
}

function rule(
  answer: Refused,
  { good, ...rest }: Pick<Rule, 'asks' | 'value'> & { readonly good: (value: unknown) => boolean },
): Rule {
  return { answer, ...rest, holds: (token) => good(rest.value(token)) }
}

const invalid = (refuse: Refuse, reason: string, message: string): Refused =>
  refuse(reason, 401, { message }, invalidToken, `error_description=${quoted(message)}`)

/** `application/` may be left out, and case does not count. */
const mediaType = (type: string): string => {
  const lower = type.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

function typeRule(types: readonly string[] | undefined, refuse: Refuse): Rule[] {
  if (!types) return []
  const allowed = new Set(types.map(mediaType))
  return [
    rule(invalid(refuse, 'type', "Invalid 'typ' in header"), {
      asks: `typ in the header must be ${types.join(' or ')}`,
      value: ({ header }) => claimAt(header, ['typ']),
      good: (typ) => typeof typ === 'string' && allowed.has(mediaType(typ)),
    }),
  ]
}

function issuerRule(issuers: readonly string[] | undefined, refuse: Refuse): Rule[] {
  if (!issuers) return []
  const allowed = new Set(issuers)
  return [
    rule(invalid(refuse, 'issuer', "Invalid 'iss' in claims"), {
      asks: `iss must be ${issuers.join(' or ')}`,
      value: ({ claims }) => claimAt(claims, ['iss']),
      good: (iss) => typeof iss === 'string' && allowed.has(iss),
    }),
  ]
}

function audienceRule(required: readonly string[] | undefined, path: ClaimPath, refuse: Refuse): Rule[] {
  if (!required) return []
  const wanted = wantedOf(required)
  return [
    rule(invalid(refuse, 'audience', `Invalid '${path.join('.')}' in claims`), {
      asks: `${path.join('.')} must hold ${required.join(', or ')}`,
      value: ({ claims }) => claimAt(claims, path),
      good: (value) => satisfies(wanted, textsOf(value)),
    }),
  ]
}

const presenceRule = (name: string, refuse: Refuse): Rule =>
  rule(invalid(refuse, `claim ${name}`, `No mandatory '${name}' in claims`), {
    asks: 'it must be there',
    value: ({ claims }) => claimAt(claims, [name]),
    good: (value) => value !== undefined && value !== null,
  })

/** RFC 8725 2.8: what an issuer signs to tell of something (RFC 8417) lets nobody in, whoever gets hold of it. */
const noEventsRule = (refuse: Refuse): Rule =>
  rule(invalid(refuse, 'events', "Invalid 'events' in claims"), {
    asks: 'events must not be there: those tell of tokens, and are none',
    value: ({ claims }) => claimAt(claims, ['events']),
    good: (value) => value === undefined,
  })

/** What is good once must have a name of its own. */
const nameRule = (refuse: Refuse): Rule =>
  rule(invalid(refuse, 'jti', "No mandatory 'jti' in claims"), {
    asks: 'jti must be a text',
    value: ({ claims }) => claimAt(claims, ['jti']),
    good: (value) => textOf(value) !== undefined,
  })

/** Who it is is known, and is not enough: 403. RFC 6750 names the scopes that are. */
function rightsRule(
  what: 'scope' | 'role' | 'group',
  required: readonly string[] | undefined,
  path: ClaimPath,
  refuse: Refuse,
): Rule[] {
  if (!required) return []
  const wanted = wantedOf(required)
  const scope = what === 'scope' ? [`scope=${quoted([...new Set(wanted.flat())].join(' '))}`] : []
  return [
    rule(refuse(what, 403, { message: `Insufficient ${what}` }, insufficientScope, ...scope), {
      asks: `${path.join('.')} must hold ${required.join(', or ')}`,
      value: ({ claims }) => claimAt(claims, path),
      good: (value) => satisfies(wanted, wordsOf(value)),
    }),
  ]
}

const insufficientScope = 'error="insufficient_scope"'

function expressionRule(text: string, number: number, refuse: Refuse): Rule {
  const holds = claimRule(text)
  return {
    answer: refuse(`rule ${number}`, 403, { message: 'Insufficient claims' }, insufficientScope),
    asks: `it must hold that ${text}`,
    value: ({ claims }) => claims,
    holds,
  }
}

const wantedOf = (required: readonly string[]): Wanted => required.map((all) => all.split(' ').filter(Boolean))
