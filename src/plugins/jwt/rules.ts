/**
 * What must hold of a token beside its signature and its times: each a rule with the answer to a token that breaks it, made
 * once. The first that is broken is told. Source: RFC 7519 section 4.1, RFC 7515 section 4.1.9, RFC 6750 section 3.1, RFC 8725.
 */
import type { Answer } from '../../pdk/kong.ts'
import { challenge, quoted, refusing } from './answers.ts'
import { claimAt, type ClaimPath, satisfies, textsOf, type Wanted, wordsOf } from './claims.ts'
import type { Config } from './ready.ts'
import type { Token } from './token.ts'

export interface Rule {
  /** What is told in logs and counts, such as `audience`. */
  readonly reason: string
  readonly answer: Answer
  /** What is asked for, in words, and what of the token is looked at. */
  readonly asks: string
  value(token: Judged): unknown
  holds(token: Judged): boolean
}

type Judged = Pick<Token, 'header' | 'claims'>

/** The rules of a config, in the order in which they are looked at: who the token is from and for, then what it allows. */
export function rulesOf(config: Config): Rule[] {
  const { realm } = config
  return [
    ...typeRule(config.token_types, realm),
    ...issuerRule(config.issuers_allowed, realm),
    ...audienceRule(config.audience_required, config.audience_claim ?? ['aud'], realm),
    ...(config.claims_required ?? []).map((name) => presenceRule(name, realm)),
    ...rightsRule('scope', config.scopes_required, config.scopes_claim ?? ['scope'], realm),
    ...rightsRule('role', config.roles_required, config.roles_claim ?? ['roles'], realm),
    ...rightsRule('group', config.groups_required, config.groups_claim ?? ['groups'], realm),
  ]
}

function rule(
  reason: string,
  answer: Answer,
  { good, ...rest }: Pick<Rule, 'asks' | 'value'> & { readonly good: (value: unknown) => boolean },
): Rule {
  return { reason, answer, ...rest, holds: (token) => good(rest.value(token)) }
}

function invalid(realm: string | null, message: string): Answer {
  const parameters = ['error="invalid_token"', `error_description=${quoted(message)}`]
  return refusing(401, { message }, challenge(realm, ...parameters))
}

/** `application/` may be left out, and case does not count. */
const mediaType = (type: string): string => {
  const lower = type.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

function typeRule(types: readonly string[] | undefined, realm: string | null): Rule[] {
  if (!types) return []
  const allowed = new Set(types.map(mediaType))
  return [
    rule('type', invalid(realm, "Invalid 'typ' in header"), {
      asks: `typ in the header must be ${types.join(' or ')}`,
      value: ({ header }) => claimAt(header, ['typ']),
      good: (typ) => typeof typ === 'string' && allowed.has(mediaType(typ)),
    }),
  ]
}

function issuerRule(issuers: readonly string[] | undefined, realm: string | null): Rule[] {
  if (!issuers) return []
  const allowed = new Set(issuers)
  return [
    rule('issuer', invalid(realm, "Invalid 'iss' in claims"), {
      asks: `iss must be ${issuers.join(' or ')}`,
      value: ({ claims }) => claimAt(claims, ['iss']),
      good: (iss) => typeof iss === 'string' && allowed.has(iss),
    }),
  ]
}

function audienceRule(required: readonly string[] | undefined, path: ClaimPath, realm: string | null): Rule[] {
  if (!required) return []
  const wanted = wantedOf(required)
  return [
    rule('audience', invalid(realm, `Invalid '${path.join('.')}' in claims`), {
      asks: `${path.join('.')} must hold ${required.join(', or ')}`,
      value: ({ claims }) => claimAt(claims, path),
      good: (value) => satisfies(wanted, textsOf(value)),
    }),
  ]
}

const presenceRule = (name: string, realm: string | null): Rule =>
  rule(`claim ${name}`, invalid(realm, `No mandatory '${name}' in claims`), {
    asks: 'it must be there',
    value: ({ claims }) => claimAt(claims, [name]),
    good: (value) => value !== undefined && value !== null,
  })

/** Who it is is known, and is not enough: 403. RFC 6750 names the scopes that are. */
function rightsRule(
  what: 'scope' | 'role' | 'group',
  required: readonly string[] | undefined,
  path: ClaimPath,
  realm: string | null,
): Rule[] {
  if (!required) return []
  const wanted = wantedOf(required)
  const scope = what === 'scope' ? [`scope=${quoted([...new Set(wanted.flat())].join(' '))}`] : []
  const wwwAuthenticate = challenge(realm, 'error="insufficient_scope"', ...scope)
  return [
    rule(what, refusing(403, { message: `Insufficient ${what}` }, wwwAuthenticate), {
      asks: `${path.join('.')} must hold ${required.join(', or ')}`,
      value: ({ claims }) => claimAt(claims, path),
      good: (value) => satisfies(wanted, wordsOf(value)),
    }),
  ]
}

const wantedOf = (required: readonly string[]): Wanted => required.map((all) => all.split(' ').filter(Boolean))
