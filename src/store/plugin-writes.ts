/** Changes that plugins make, at the store's owner: checked like those of the Admin API, applied in one transaction. */
import type { Change, Changed, Entity } from '../pdk/entities.ts'
import { checkInsert, checkUpdate, errorMessage, transformed } from '../schema/check.ts'
import type { Schema } from '../schema/field.ts'
import type { Operation, Store, Stored, StoreError } from './store.ts'

/** Why nothing is written where the configuration comes from a file. */
export const noDatabase: Changed = {
  ok: false,
  reason: 'unavailable',
  message: 'this needs a database: without one the configuration is only read',
}

type Prepared = { readonly operation: Operation; readonly entity: Entity } | Extract<Changed, { ok: false }>

/** How often an update that met another one is tried again. */
const mostTries = 10

/** Gives the function that makes plugins' changes to entities of these kinds. */
export function pluginWriter(
  store: Store,
  kinds: ReadonlyMap<string, Schema>,
): (changes: readonly Change[]) => Promise<Changed> {
  const schemaOf = (kind: string): Schema => {
    const schema = kinds.get(kind)
    if (!schema) throw new TypeError(`plugins may not write ${kind}`)
    return schema
  }
  const prepare = (change: Change): Prepared => {
    const { kind } = change
    const schema = schemaOf(kind)
    if (change.do === 'insert') return inserting(schema, change.entity)
    if (change.do === 'count') {
      const { entity, field, by } = change
      const before = store.reader.get(kind, entity.id)
      return before
        ? updating(schema, before, { ...entity, [field]: Number(before[field]) + by })
        : inserting(schema, { ...entity, [field]: by })
    }
    const before = store.reader.get(kind, change.id)
    if (!before) return absent(kind, change.id)
    if (change.do === 'delete') return { operation: { do: 'delete', kind, id: change.id }, entity: before }
    return updating(schema, before, change.changes)
  }
  return async (changes) => {
    for (let triesLeft = mostTries; ; triesLeft--) {
      store.reader.renew()
      const prepared: Exclude<Prepared, { ok: false }>[] = []
      for (const change of changes) {
        const one = prepare(change)
        if ('ok' in one) return one
        prepared.push(one)
      }
      const written = await store.write(prepared.map(({ operation }) => operation))
      if (written.ok) return { ok: true, entities: prepared.map(({ entity }) => entity) }
      if (!isOvertaken(written.error, changes[written.at]) || triesLeft <= 1) return refusalOf(written.error)
    }
  }
}

function inserting(schema: Schema, given: Readonly<Record<string, unknown>>): Prepared {
  const checked = checkInsert(schema, given)
  if (!checked.ok) return refused(errorMessage(checked.errors))
  const entity = transformed(schema, checked.value, given) as Stored
  return { operation: { do: 'insert', kind: schema.name, entity }, entity }
}

function updating(schema: Schema, before: Stored, changes: Readonly<Record<string, unknown>>): Prepared {
  const checked = checkUpdate(schema, before, changes)
  if (!checked.ok) return refused(errorMessage(checked.errors))
  const entity = transformed(schema, checked.value, changes, before) as Stored
  return { operation: { do: 'update', kind: schema.name, entity, expected: before }, entity }
}

/** Whether another writer came between, so that trying again is worth while. */
const isOvertaken = ({ code }: StoreError, change: Change | undefined): boolean =>
  code === 'conflict' || (change?.do === 'count' && (code === 'primary' || code === 'absent'))

type Refusal = Extract<Changed, { ok: false }>

const refused = (message: string): Refusal => ({ ok: false, reason: 'refused', message })
const absent = (kind: string, id: string): Refusal => ({
  ok: false,
  reason: 'absent',
  message: `there is no ${kind} with the id ${id}`,
})

/** Messages name fields and kinds, never values: these may be secrets. */
function refusalOf(error: StoreError): Refusal {
  switch (error.code) {
    case 'absent':
      return absent(error.kind, error.id)
    case 'unavailable':
      return { ok: false, reason: 'unavailable', message: error.message }
    case 'unique':
      return refused(`a value of ${Object.keys(error.fields).join(', ')} is taken`)
    default:
      return refused(`${error.code}: ${error.kind}`)
  }
}
