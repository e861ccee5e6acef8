/** Rules about claims, made into what judges a token. The language is that of `claim-rules-schema.ts`. */
import type { Expression, Operator, Predicate } from '../../schema/expression/expression.ts'
import type { Regex } from '../../schema/regex.ts'
import { parseClaimRule, ruleFieldOf } from './claim-rules-schema.ts'
import { claimAt } from './claims.ts'
import type { Token } from './token.ts'

/** Whether a token keeps a rule. */
export type Judge = (token: Pick<Token, 'header' | 'claims'>) => boolean

/** Compiles a rule that has passed its check. */
export function claimRule(text: string): Judge {
  const parsed = parseClaimRule(text)
  // A rule that cannot be read must not let anyone in.
  return 'error' in parsed ? () => false : judgeOf(parsed.expression)
}

function judgeOf(expression: Expression): Judge {
  if ('predicate' in expression) return predicate(expression.predicate)
  if ('not' in expression) {
    const inner = judgeOf(expression.not)
    return (token) => !inner(token)
  }
  const parts = ('and' in expression ? expression.and : expression.or).map(judgeOf)
  return 'and' in expression
    ? (token) => parts.every((part) => part(token))
    : (token) => parts.some((part) => part(token))
}

type One = string | number

/** Of several values all must fit, or with `any` one. What is not there fits nothing, nor does an object, nor an empty list. */
function predicate({ field, lower, any, operator, value }: Predicate): Judge {
  const place = ruleFieldOf(field)
  if (!place) return () => false
  const { of, path } = place
  const test = tests[operator]?.(value.value as never) ?? (() => false)
  const fits = (one: One): boolean => test(lower ? String(one).toLowerCase() : one)
  return (token) => {
    const values = valuesOf(claimAt(token[of], path))
    return any ? values.some(fits) : values.length > 0 && values.every(fits)
  }
}

/** Texts and numbers; true and false as the texts that they are in JSON. A list with anything else is none. */
function valuesOf(value: unknown): readonly One[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  const told = members.map((member) => (typeof member === 'boolean' ? String(member) : member))
  return told.every((member) => typeof member === 'string' || typeof member === 'number') ? told : []
}

type Test = (one: One) => boolean

const number =
  (holds: (one: number, other: number) => boolean) =>
  (wanted: number): Test =>
  (one) =>
    typeof one === 'number' && holds(one, wanted)
const text =
  (holds: (one: string, other: string) => boolean) =>
  (wanted: string): Test =>
  (one) =>
    typeof one === 'string' && holds(one, wanted)

const tests: Readonly<Partial<Record<Operator, (wanted: never) => Test>>> = {
  '==':
    (wanted: One): Test =>
    (one) =>
      one === wanted,
  '!=':
    (wanted: One): Test =>
    (one) =>
      one !== wanted,
  '>': number((one, other) => one > other),
  '>=': number((one, other) => one >= other),
  '<': number((one, other) => one < other),
  '<=': number((one, other) => one <= other),
  '^=': text((one, other) => one.startsWith(other)),
  '=^': text((one, other) => one.endsWith(other)),
  contains: text((one, other) => one.includes(other)),
  '~':
    (regex: Regex): Test =>
    (one) =>
      typeof one === 'string' && regex.test(one),
}
