/**
 * Rules about claims, in the language of route expressions (`src/schema/expression`): `claims.tenant == "acme"`. A name with other
 * characters than letters, digits, `_` and `-` stands in quotes: `claims."https://example.com/roles"`.
 */
import { predicatesOf } from '../../schema/expression/check.ts'
import { type Parsed, parseExpression, type Predicate, type Value } from '../../schema/expression/expression.ts'
import { grammar } from '../../schema/expression/grammar.ts'
import type { Grammar } from '../../schema/expression/peg.ts'

const claimGrammar: Grammar = {
  ...grammar,
  ident: { kind: 'word', part: /[A-Za-z]\w*(?:\.(?:[\w-]+|"[^"\\\r\n]+"))*/y },
}

/** Reads a rule. */
export const parseClaimRule = (text: string): Parsed => parseExpression(text, claimGrammar)

/** The two parts of a token that a rule may look into, and the names on the way, from the outermost to the innermost. */
export interface RuleField {
  readonly of: 'claims' | 'header'
  readonly path: readonly string[]
}

/** Takes a field's name apart; undefined where it names neither claims nor header. */
export function ruleFieldOf(field: string): RuleField | undefined {
  const [first, ...rest] = [...field.matchAll(/"([^"]+)"|([^."]+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  return (first === 'claims' || first === 'header') && rest.length > 0 ? { of: first, path: rest } : undefined
}

/** What is wrong with a rule; undefined where nothing is. */
export function claimRuleError(text: string): string | undefined {
  const parsed = parseClaimRule(text)
  if ('error' in parsed) return parsed.error
  for (const predicate of predicatesOf(parsed.expression)) {
    const error = predicateError(predicate)
    if (error !== undefined) return error
  }
  return undefined
}

const comparable: ReadonlySet<Value['type']> = new Set(['String', 'Int', 'Regex'])
const ofNumbers = new Set(['>', '>=', '<', '<='])
const ofTexts = new Set(['^=', '=^', 'contains'])

function predicateError({ field, lower, operator, value }: Predicate): string | undefined {
  if (!ruleFieldOf(field)) return `unknown field ${field}: expected claims.NAME or header.NAME`
  if (!comparable.has(value.type))
    return `${field}: claims are compared with texts and whole numbers, not with addresses`
  if (operator === 'in' || operator === 'not in') return `${field}: ${operator} is for addresses; use any(…) == or ~`
  if (ofNumbers.has(operator) && value.type !== 'Int') return `${field}: ${operator} compares with a whole number`
  if (ofTexts.has(operator) && value.type !== 'String') return `${field}: ${operator} compares with a text`
  return lower && value.type === 'Int' ? `${field}: lower(…) is for texts` : undefined
}
