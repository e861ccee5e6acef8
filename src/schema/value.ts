/** What Kong's checks take a value for: Lua knows one kind of table for arrays and objects, and null beside absence. */

export type Table = Record<string, unknown>

/** An array or an object. */
export const isTable = (value: unknown): value is Table | unknown[] => typeof value === 'object' && value !== null

/** An object that is no array. */
export const isObject = (value: unknown): value is Table => isTable(value) && !Array.isArray(value)

/** A table by keys; an array's keys are its positions, counted from 1. Safe for a key named `__proto__`. */
export function asObject(value: Table | unknown[]): Table {
  if (!Array.isArray(value)) return { ...value }
  return Object.fromEntries(value.map((element, index) => [String(index + 1), element]))
}

/** An empty object is an empty array too. */
export function asSequence(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value
  return isObject(value) && Object.keys(value).length === 0 ? [] : undefined
}

export const isNonEmpty = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && !(isTable(value) && Object.keys(value).length === 0)

/** An own property, so that `constructor` and its like are no fields. */
export const own = (table: unknown, key: string): unknown =>
  isTable(table) && Object.hasOwn(table, key) ? (table as Table)[key] : undefined

/** The value at a dotted path. */
export const valueAt = (table: unknown, path: string): unknown => path.split('.').reduce<unknown>(own, table)

/** Sets a value at a dotted path, making objects on the way; leaves alone what is not an object. */
export function setAt(table: Table, path: string, value: unknown): void {
  const [head = '', ...rest] = path.split('.')
  if (rest.length === 0) return define(table, head, value)
  const inner = own(table, head) ?? {}
  define(table, head, inner)
  if (isObject(inner)) setAt(inner, rest.join('.'), value)
}

/** Assigns without ever reaching the setter of `__proto__`. */
export function define(table: Table, key: string, value: unknown): void {
  if (key !== '__proto__') table[key] = value
  else Object.defineProperty(table, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Whether a text stands for a secret kept elsewhere, such as `{vault://env/NAME}`. */
export const isReference = (value: unknown): boolean =>
  typeof value === 'string' && value.startsWith('{vault://') && value.endsWith('}')
