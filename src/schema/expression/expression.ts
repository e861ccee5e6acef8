/** Expressions, as routes have them: from their text to what they mean, or why they mean nothing. Source: Kong's docs, "Expressions language". */
import { isIPv4, isIPv6 } from 'node:net'
import { compileRegex, type Regex } from '../regex.ts'
import { grammar } from './grammar.ts'
import { type Grammar, parse, type Tree } from './peg.ts'

export type Operator = '==' | '!=' | '~' | '^=' | '=^' | '>' | '>=' | '<' | '<=' | 'in' | 'not in' | 'contains'

/** What a predicate compares with. Of addresses, the text as it was written, which is known to be one. */
export type Value =
  | { readonly type: 'String'; readonly value: string }
  | { readonly type: 'Int'; readonly value: number }
  | { readonly type: 'IpAddr'; readonly value: string }
  | { readonly type: 'IpCidr'; readonly value: string; readonly bits: number }
  | { readonly type: 'Regex'; readonly value: Regex }

export interface Predicate {
  readonly field: string
  /** Whether values are compared in lower case. */
  readonly lower: boolean
  /** Whether it is enough that one of several values fits. */
  readonly any: boolean
  readonly operator: Operator
  readonly value: Value
}

export type Expression =
  | { readonly and: readonly Expression[] }
  | { readonly or: readonly Expression[] }
  | { readonly not: Expression }
  | { readonly predicate: Predicate }

export type Parsed = { readonly expression: Expression } | { readonly error: string }

/** Longer expressions are refused. */
const longest = 65_536

/**
 * Reads an expression; the error is in the words, and of the shape, that Kong's users know. Another grammar with the same rules
 * may give names another form.
 */
export function parseExpression(text: string, words: Grammar = grammar): Parsed {
  if (text.length > longest) return { error: `longer than ${longest} characters` }
  const tree = parse(words, 'matcher', text)
  if ('at' in tree) return { error: errorAt(text, tree.at, undefined, expected(tree.rules)) }
  try {
    return { expression: expressionOf(tree.children[0] as Tree) }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { error: errorAt(text, error.from, error.to, error.message) }
  }
}

/** Thrown by the steps below and caught by `parseExpression` alone. */
class Refused extends Error {
  readonly from: number
  readonly to: number

  constructor({ from, to }: Tree, message: string) {
    super(message)
    this.from = from
    this.to = to
  }
}

/** `||` binds closer than `&&`, as in Kong. */
function expressionOf({ children }: Tree): Expression {
  const factors: Expression[][] = []
  for (let at = 0; at < children.length; at += 2) {
    const term = termOf(children[at] as Tree)
    if (children[at - 1]?.rule === 'or_op') factors.at(-1)?.push(term)
    else factors.push([term])
  }
  const parts = factors.map((terms) => alone(terms) ?? { or: terms })
  return alone(parts) ?? { and: parts }
}

const alone = (parts: readonly Expression[]): Expression | undefined => (parts.length === 1 ? parts[0] : undefined)

function termOf({ children: [inner] }: Tree): Expression {
  if (inner?.rule === 'predicate') return { predicate: predicateOf(inner) }
  const [first, second] = inner?.children ?? []
  return second ? { not: expressionOf(second) } : expressionOf(first as Tree)
}

function predicateOf({ children }: Tree): Predicate {
  const [left, sign, right] = children as [Tree, Tree, Tree]
  const transformed = { lower: false, any: false }
  const field = fieldOf(left, transformed)
  const operator = sign.text.replace(/\s+/, ' ').replace('notin', 'not in') as Operator
  const value = valueOf(right.children[0] as Tree)
  return { field, ...transformed, operator, value: operator === '~' ? regexOf(right, value) : value }
}

function fieldOf({ children: [inner] }: Tree, transformed: { lower: boolean; any: boolean }): string {
  const only = inner as Tree
  if (only.rule === 'ident') return only.text
  const [name, argument] = only.children as [Tree, Tree]
  const field = fieldOf(argument, transformed)
  if (name.text === 'lower') transformed.lower = true
  else if (name.text === 'any') transformed.any = true
  else throw new Refused(only, `unknown transformation function: ${name.text}`)
  return field
}

function regexOf(tree: Tree, value: Value): Value {
  if (value.type !== 'String') throw new Refused(tree, 'regex operator can only be used with String operands')
  const compiled = compileRegex(value.value)
  if (!compiled.ok) throw new Refused(tree, `regex parse error: ${compiled.error}`)
  return { type: 'Regex', value: compiled.regex }
}

const escapes: Readonly<Record<string, string>> = { '\\n': '\n', '\\r': '\r', '\\t': '\t', '\\"': '"', '\\\\': '\\' }
const largest = 2n ** 63n - 1n

const literals: Readonly<Record<string, (tree: Tree) => Value>> = {
  str_literal: ({ children }) => ({
    type: 'String',
    value: children.map(({ rule, text }) => (rule === 'str_esc' ? (escapes[text] ?? text) : text)).join(''),
  }),
  rawstr_literal: ({ text }) => ({ type: 'String', value: text.slice(3, -2) }),
  int_literal: (tree) => {
    const digits = tree.children[0] as Tree
    const prefix = { hex_digits: '0x', oct_digits: '0o', dec_digits: '' }[digits.rule] ?? ''
    const number = BigInt(prefix + digits.text)
    if (number > largest) throw new Refused(digits, 'number too large to fit in target type')
    return { type: 'Int', value: Number(number) * (tree.text.startsWith('-') ? -1 : 1) }
  },
  ipv4_literal: (tree) => address(tree, isIPv4, 'invalid IPv4 address syntax'),
  ipv6_literal: (tree) => address(tree, isIPv6, 'invalid IPv6 address syntax'),
  ipv4_cidr_literal: (tree) => range(tree, isIPv4, 32),
  ipv6_cidr_literal: (tree) => range(tree, isIPv6, 128),
}

const valueOf = (tree: Tree): Value => (literals[tree.rule] as (tree: Tree) => Value)(tree)

function address(tree: Tree, isOne: (text: string) => boolean, error: string): Value {
  if (!isOne(tree.text)) throw new Refused(tree, error)
  return { type: 'IpAddr', value: tree.text }
}

function range(tree: Tree, isOne: (text: string) => boolean, most: number): Value {
  const [value = '', length = ''] = tree.text.split('/')
  const bits = Number(length)
  if (!isOne(value)) throw new Refused(tree, "couldn't parse address in network: invalid IP address syntax")
  if (bits > most) throw new Refused(tree, 'network length is too long')
  if (hostBits(value, bits)) throw new Refused(tree, 'host part of address was not zero')
  return { type: 'IpCidr', value, bits }
}

/** Whether an address has bits set behind the first `bits`. */
function hostBits(text: string, bits: number): boolean {
  const bytes = addressBytes(text)
  return bytes.some((byte, at) => (byte & (0xff >> Math.min(8, Math.max(0, bits - at * 8)))) !== 0)
}

/** The 4 or 16 bytes of an address. */
export function addressBytes(text: string): readonly number[] {
  if (isIPv4(text)) return text.split('.').map(Number)
  const [head = '', tail] = text.replace(/[\d.]+$/, (last) => (isIPv4(last) ? groupsOf(last) : last)).split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  return [...before, ...Array<number>(zeros).fill(0), ...after].flatMap((group) => [group >> 8, group & 0xff])
}

function groupsOf(ipv4: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

function expected(rules: readonly string[]): string {
  if (rules.length === 0) return 'unknown parsing error'
  const [last = '', ...before] = rules.toReversed()
  if (before.length === 0) return `expected ${last}`
  return `expected ${before.toReversed().join(', ')}${before.length > 1 ? ',' : ''} or ${last}`
}

const characters = (text: string): number => Array.from(text).length

/** The line in question with a mark below it, and what is wrong. */
function errorAt(text: string, from: number, to: number | undefined, message: string): string {
  const lineStart = text.lastIndexOf('\n', from - 1) + 1
  const lineEnd = text.indexOf('\n', from)
  const row = text.slice(0, lineStart).split('\n').length
  const column = characters(text.slice(lineStart, from))
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd)
  const margin = ' '.repeat(String(row).length)
  const marked = to === undefined ? undefined : characters(text.slice(from, Math.min(to, lineStart + line.length)))
  const mark = marked === undefined ? '^---' : marked > 1 ? `^${'-'.repeat(marked - 2)}^` : '^'
  return [
    `${margin}--> ${row}:${column + 1}`,
    `${margin} |`,
    `${row} | ${line}`,
    `${margin} | ${' '.repeat(column)}${mark}`,
    `${margin} |`,
    `${margin} = ${message}`,
  ].join('\n')
}
