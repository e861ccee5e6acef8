/** Entities with the secrets that they refer to: what is stored and shown is the reference, what works is the secret. */
import type { Schema } from '../schema/field.ts'
import { resolveReference, type NamedVault } from '../vaults/env.ts'
import { resolveReferences } from '../vaults/references.ts'

interface Stored {
  readonly id: string
  readonly [field: string]: unknown
}

interface Vaults {
  values(): Iterable<Stored>
}

/** Gives an entity with its secrets, given the vaults; the entity itself where it refers to none. */
export type WithSecrets = <T extends Stored>(kind: string, entity: T, vaults: Vaults) => T

/**
 * Makes the function that puts secrets into entities of these kinds. It throws where a reference stands for nothing: with an
 * empty secret, or the reference itself as one, anybody could sign.
 */
export function secretsOf(
  kinds: ReadonlyMap<string, Schema>,
  environment: Readonly<Record<string, string | undefined>>,
  prefix?: string,
): WithSecrets {
  return (kind, entity, vaults) => {
    // Nearly all entities refer to nothing, and there may be thousands: this costs a fraction of walking over their fields.
    if (!JSON.stringify(entity).includes('{vault://')) return entity
    const named = namedVaults(vaults, prefix)
    const { value, missing } = resolveReferences(fieldsFor(kinds.get(kind), entity), entity, (reference) =>
      resolveReference(reference, environment, named),
    )
    if (missing.length === 0) return value
    throw new Error(`${kind} ${entity.id} refers to secrets that are not there: ${missing.join(', ')}`)
  }
}

/** A plugin's own fields stand in its subschema. */
function fieldsFor(schema: Schema | undefined, entity: Stored): Schema['fields'] {
  const key = schema?.subschema_key
  const own = key === undefined ? undefined : schema?.subschemas?.get(String(entity[key]))
  return [...(schema?.fields ?? []), ...(own?.fields ?? [])]
}

/** The vaults as references name them: each by its prefix, and the environment's own by the name of its kind. */
function namedVaults(vaults: Vaults, prefix: string | undefined): ReadonlyMap<string, NamedVault> {
  const named = [...vaults.values()].map((vault) => [String(vault['prefix']), vault as unknown as NamedVault] as const)
  return new Map([['env', { name: 'env', config: prefix === undefined ? {} : { prefix } }], ...named])
}
