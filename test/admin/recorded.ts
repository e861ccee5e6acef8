/** For tests: recorded steps of Kong's Admin API, sent again and compared. */
import { readFileSync } from 'node:fs'
import type { TestAnswer } from './fixture.ts'

export interface Step {
  /** A number and a description, such as `095 minimal service`. */
  readonly name: string
  readonly group: string
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly expect: {
    readonly status: number
    readonly headers?: Record<string, string | null>
    readonly body?: unknown
  }
  /** Values of the answer that later steps use, by dotted path. */
  readonly capture?: Record<string, string>
  /** Dotted paths of arrays in no fixed order. */
  readonly unordered?: readonly string[]
}

export interface Recording {
  readonly vars: Record<string, unknown>
  readonly steps: readonly Step[]
}

/** Reads a recording; its keys, made for tests, are stored under a marker so that nobody takes them for lost ones. */
export function readRecording(file: URL): Recording {
  return JSON.parse(readFileSync(file, 'utf8').replaceAll('THROWAWAY ', '')) as Recording
}

/** Puts captured values in the place of `{{name}}`. */
export function withVars<T>(value: T, vars: Readonly<Record<string, unknown>>): T {
  if (typeof value === 'string') {
    return value.replace(/\{\{([a-zA-Z_]\w*)\}\}/g, (_, name: string) => String(vars[name])) as T
  }
  if (Array.isArray(value)) return value.map((inner: unknown) => withVars(inner, vars)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [withVars(key, vars), withVars(inner, vars)]),
  ) as T
}

/** The captured values that a step uses but no step before it has brought. */
export const missingVars = (step: Step, vars: Readonly<Record<string, unknown>>): readonly string[] =>
  [...JSON.stringify(step).matchAll(/\{\{([a-zA-Z_]\w*)\}\}/g)]
    .map(([, name = '']) => name)
    .filter((name) => !Object.hasOwn(vars, name))

/** How an answer differs from the recorded one; empty where it does not. */
export function differences({ expect, unordered = [] }: Step, answer: TestAnswer): string[] {
  const found: string[] = []
  if (answer.status !== expect.status)
    found.push(`status ${answer.status} in place of ${expect.status}: ${answer.text.slice(0, 200)}`)
  for (const [name, wanted] of Object.entries(expect.headers ?? {})) {
    const actual = answer.headers[name]
    if (wanted === null ? actual !== undefined : !matches(wanted, actual, [], name))
      found.push(`header ${name}: ${String(actual)}`)
  }
  const { body } = expect
  if (body === undefined) return found
  if (body === '') return answer.text === '' ? found : [...found, `body ${answer.text.slice(0, 100)}`]
  if (typeof body === 'string' && body.startsWith('text:')) {
    return answer.text === body.slice(5) ? found : [...found, `text ${answer.text.slice(0, 100)}`]
  }
  return matches(body, answer.json, unordered, '') ? found : [...found, `body ${answer.text.slice(0, 400)}`]
}

/** Adds an answer's captured values to the variables. */
export function capture({ capture: wanted = {} }: Step, { json }: TestAnswer, vars: Record<string, unknown>): void {
  for (const [name, path] of Object.entries(wanted)) {
    const value = path
      .split('.')
      .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], json)
    if (value !== undefined && value !== null) vars[name] = value
  }
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

/** What a placeholder within a text stands for. */
const patterns: Readonly<Record<string, string>> = {
  uuid,
  ts: '\\d+',
  int: '-?\\d+',
  num: '-?[\\d.]+',
  hex32: '[0-9a-f]{32}',
  hex40: '[0-9a-f]{40}',
  alnum32: '[0-9A-Za-z]{32}',
  str: '[\\s\\S]*',
  any: '[\\s\\S]*',
  offset: '[^"&\\s]+',
}

/** What a placeholder that is the whole value stands for, where that is no text. */
const whole: Readonly<Record<string, (value: unknown) => boolean>> = {
  any: (value) => value !== undefined,
  ts: (value) => typeof value === 'number' && Math.abs(value - Date.now() / 1000) < 86_400,
  int: Number.isInteger,
  num: (value) => typeof value === 'number',
}

function matches(wanted: unknown, actual: unknown, unordered: readonly string[], path: string): boolean {
  if (typeof wanted === 'string') return matchesText(wanted, actual)
  if (Array.isArray(wanted)) return Array.isArray(actual) && matchesList(wanted, actual, unordered, path)
  if (typeof wanted !== 'object' || wanted === null) return wanted === actual
  return typeof actual === 'object' && actual !== null && !Array.isArray(actual)
    ? matchesObject(wanted as Record<string, unknown>, actual as Record<string, unknown>, unordered, path)
    : false
}

function matchesText(wanted: string, actual: unknown): boolean {
  const only = /^\{\{\$(\w+)\}\}$/.exec(wanted)?.[1]
  const isWhole = only === undefined ? undefined : whole[only]
  if (isWhole) return isWhole(actual)
  const parts = wanted
    .split(/\{\{\$(\w+)\}\}/)
    .map((part, index) => (index % 2 === 1 ? patterns[part] : RegExp.escape(part)))
  return typeof actual === 'string' && new RegExp(`^${parts.join('')}$`).test(actual)
}

function matchesList(
  wanted: readonly unknown[],
  actual: readonly unknown[],
  unordered: readonly string[],
  path: string,
): boolean {
  if (wanted.length !== actual.length) return false
  const name = path.slice(path.lastIndexOf('.') + 1)
  if (!unordered.includes(path) && !unordered.includes(`**.${name}`)) {
    return wanted.every((item, index) => matches(item, actual[index], unordered, join(path, String(index))))
  }
  const left = [...actual]
  return wanted.every((item) => {
    const at = left.findIndex((candidate) => matches(item, candidate, unordered, path))
    return at >= 0 && left.splice(at, 1).length === 1
  })
}

/** Kong's own schemas say `required` and `len_min` of elements or not, depending on what it checked before. */
const KONG_FORGETS = new Set(['required', 'len_min'])

function matchesObject(
  wanted: Record<string, unknown>,
  actual: Record<string, unknown>,
  unordered: readonly string[],
  path: string,
): boolean {
  const forgets = path.endsWith('.elements')
  const names = Object.keys(wanted).filter((name) => name !== '$partial' && !(forgets && KONG_FORGETS.has(name)))
  if (
    !names.every(
      (name) => Object.hasOwn(actual, name) && matches(wanted[name], actual[name], unordered, join(path, name)),
    )
  )
    return false
  if (wanted['$partial'] === true) return true
  const free = (name: string): boolean => name === 'description' || (forgets && KONG_FORGETS.has(name))
  return Object.keys(actual).every((name) => Object.hasOwn(wanted, name) || free(name))
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
