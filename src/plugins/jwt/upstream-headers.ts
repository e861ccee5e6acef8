/** Claims on their way to the upstream, a header each. */
import { claimAt, type ClaimPath } from './claims.ts'
import type { Config } from './ready.ts'
import type { JsonObject } from './token.ts'

export interface HeaderClaim {
  readonly name: string
  readonly claim: ClaimPath
  readonly write: (value: unknown) => string
}

const formats: Readonly<Record<string, HeaderClaim['write']>> = {
  text: (value) => (Array.isArray(value) ? value.map(plain).join(', ') : plain(value)),
  // What is no ASCII is escaped, so that whoever reads the header need not guess its encoding.
  json: (value) => ascii(JSON.stringify(value)),
  base64: (value) => Buffer.from(JSON.stringify(value), 'utf8').toString('base64'),
}

/** Longer values are not sent: the upstream would refuse the whole request. */
const LONGEST = 8192

export const headerClaimsOf = (headers: Config['upstream_headers'] = []): HeaderClaim[] =>
  headers.map(({ name, claim, format = 'text' }) => ({ name, claim, write: formats[format]! }))

/** A header's value; undefined where the token has no such claim, or it is null or too long. */
export function headerValue({ claim, write }: HeaderClaim, claims: JsonObject): string | undefined {
  const value = claimAt(claims, claim)
  if (value === undefined || value === null) return undefined
  const text = write(value)
  return text.length <= LONGEST ? text : undefined
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : ascii(JSON.stringify(value)))

const ascii = (json: string): string =>
  json.replaceAll(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
