import type { Field, Fields } from '../schema/field.ts'
import { isObject, isReference } from '../schema/value.ts'

/** Gives the secret that a reference such as `{vault://env/NAME}` stands for; undefined where there is none. */
export type SecretOf = (reference: string) => string | undefined

export interface Resolved<T> {
  /** The value with its references' secrets in their places; the same object where it has none. */
  readonly value: T
  /** The references that stand for nothing, each behind the path of its field. They are left as they are: use nothing of such a value. */
  readonly missing: readonly string[]
}

/**
 * Puts secrets in the places of references, in the fields alone that are declared `referenceable`: anywhere else such a text
 * means itself.
 */
export function resolveReferences<T extends object>(fields: Fields, value: T, secretOf: SecretOf): Resolved<T> {
  const missing: string[] = []
  const replace = (field: Field, given: unknown, path: string, isReferenceable: boolean): unknown => {
    const may = isReferenceable || field.referenceable === true
    if (typeof given === 'string') return may && isReference(given) ? secret(given, path) : given
    const each = field.elements ?? field.values
    if (each) return eachOf(given, (member, name) => replace(each, member, `${path}.${name}`, may))
    return field.fields && isObject(given) ? record(field.fields, given, path) : given
  }
  const secret = (reference: string, path: string): string => {
    const found = secretOf(reference)
    if (found === undefined) missing.push(`${path}: ${reference}`)
    return found ?? reference
  }
  const record = (declared: Fields, given: object, path: string): object => {
    const byName = new Map(declared.flatMap((entry) => Object.entries(entry)))
    return eachOf(given, (member, name) => {
      const field = byName.get(name)
      return field ? replace(field, member, path === '' ? name : `${path}.${name}`, false) : member
    }) as object
  }
  return { value: record(fields, value, '') as T, missing }
}

/** A list's or an object's members changed; itself where none has changed. */
function eachOf(value: unknown, change: (member: unknown, name: string) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const before = Object.entries(value)
  const after = before.map(([name, member]) => [name, change(member, name)] as const)
  if (after.every(([, member], index) => member === before[index]?.[1])) return value
  return Array.isArray(value) ? after.map(([, member]) => member) : Object.fromEntries(after)
}
