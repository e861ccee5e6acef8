/** Looking into a token's claims: by path, as texts, and for what must be among them. */
import type { JsonObject } from './token.ts'
import { isObject } from './token.ts'

/** A claim's place: names from the outermost to the innermost. */
export type ClaimPath = readonly string[]

/** What is wanted: one of the lists, and of that all. */
export type Wanted = readonly (readonly string[])[]

/** The value at a path; undefined where there is none. Only own members count, so that `__proto__` finds nothing. */
export function claimAt(claims: JsonObject, path: ClaimPath): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** The texts in a claim that may be one or a list of them; what is neither is passed over. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((member) => typeof member === 'string') : []
}

/** The same, of a claim that may also be several words in one text, as `scope` is (RFC 8693 section 4.2). */
export const wordsOf = (value: unknown): readonly string[] =>
  typeof value === 'string' ? value.split(' ').filter(Boolean) : textsOf(value)

/** A claim as one text, where it is one or a number; undefined for anything else, and for what has no UTF-8 form. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
  return typeof value === 'string' && value !== '' && value.isWellFormed() ? value : undefined
}

/** Whether what is there satisfies what is wanted. */
export const satisfies = (wanted: Wanted, there: readonly string[]): boolean =>
  wanted.some((all) => all.every((one) => there.includes(one)))
