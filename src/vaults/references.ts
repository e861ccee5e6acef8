import { isReference } from '../schema/value.ts'
import { resolveReference, type NamedVault } from './env.ts'

/**
 * A config with the secrets that its references stand for; the config itself where it has none. A reference that stands for
 * nothing becomes the empty string, as in Kong.
 */
export function resolveReferences<T>(
  config: T,
  environment: Readonly<Record<string, string | undefined>>,
  vaults: ReadonlyMap<string, NamedVault> = new Map(),
): T {
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string')
      return isReference(value) ? (resolveReference(value, environment, vaults) ?? '') : value
    if (Array.isArray(value)) return hasReference(value) ? value.map(resolve) : value
    if (value === null || typeof value !== 'object' || !hasReference(value)) return value
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolve(member)]))
  }
  return resolve(config) as T
}

const hasReference = (value: object): boolean => JSON.stringify(value).includes('{vault://')
