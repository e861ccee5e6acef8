import { checkInsert } from '../../schema/check.ts'
import type { Operation, Stored } from '../../store/store.ts'
import { invalidUnique, schemaViolation, unsupported, type Answer } from '../answers.ts'
import type { Custom } from '../customs.ts'
import { entitiesBelow, referenceId, wrongValue } from '../entities.ts'
import type { Context } from '../types.ts'

/** Certificates are written together with their SNIs, whose names stand in the body's `snis`; they go together, too. */
export const certificateCustom: Custom = {
  write(context, input, id) {
    const names = namesIn(input['snis'])
    if (!names) return (certificate) => ({ operations: [], shown: withSnis(context, certificate) })
    const refusal = refusedNames(context, names, id)
    if (refusal) return { refusal }
    return (certificate) => ({
      operations: snisWritten(context, certificate.id, names),
      shown: { ...certificate, snis: names },
    })
  },
  removal(context, id) {
    const snis = snisOf(context, id)
    if (snis.length > 0 && !context.writable) return { refusal: unsupported("cannot remove 'snis' entities by 'name'") }
    return { operations: snis.map((sni) => ({ do: 'delete', kind: 'snis', id: sni.id })) }
  },
}

/** A certificate with the names of its SNIs, in their order. */
export const withSnis = (context: Context, certificate: Stored): Stored => ({
  ...certificate,
  snis: snisOf(context, certificate.id)
    .map(({ name }) => String(name))
    .sort(),
})

/** The names to write, in their order: null takes all away. Undefined where none are given, or where the schema will complain. */
function namesIn(snis: unknown): readonly string[] | undefined {
  if (snis === null) return []
  return Array.isArray(snis) && snis.every((name) => typeof name === 'string') ? [...snis].sort() : undefined
}

/** What is wrong with the names: one given twice, one that is none, one that is another certificate's. */
function refusedNames({ store, kinds }: Context, names: readonly string[], id: string | undefined): Answer | undefined {
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) return schemaViolation({ snis: `${twice} is duplicated` })
  const schema = kinds.get('snis')
  for (const name of names) {
    const wrong = schema && wrongValue(schema, 'name', name)
    if (wrong !== undefined) return invalidUnique('name', wrong)
    const owner = referenceId(store.reader.by('snis', 'name', name)?.['certificate'])
    if (owner !== undefined && owner !== id)
      return schemaViolation({ snis: `${name} already associated with existing certificate '${owner}'` })
  }
  return undefined
}

function snisWritten(context: Context, id: string, names: readonly string[]): readonly Operation[] {
  const present = snisOf(context, id)
  const known = new Set(present.map(({ name }) => name))
  const gone = present.filter(({ name }) => !names.includes(String(name)))
  return [
    ...names.filter((name) => !known.has(name)).map((name) => insertion(context, id, name)),
    ...gone.map((sni): Operation => ({ do: 'delete', kind: 'snis', id: sni.id })),
  ]
}

function insertion({ kinds }: Context, id: string, name: string): Operation {
  const schema = kinds.get('snis')
  const checked = schema && checkInsert(schema, { name, certificate: { id } })
  if (!checked?.ok) throw new Error(`the SNI ${name} was checked before`)
  return { do: 'insert', kind: 'snis', entity: checked.value as Stored }
}

const snisOf = (context: Context, id: string): readonly Stored[] => [
  ...entitiesBelow(context, 'snis', { field: 'certificate', id }),
]
