/** The store as plugins read it, on the control side: nothing is held in memory, so that nothing is `live`. */
import type { EntityReader } from '../pdk/entities.ts'
import type { Reader, Stored } from './store.ts'

export function entityReader(reader: Pick<Reader, 'get' | 'by' | 'all'>): EntityReader {
  const loaded = (entity: Stored | undefined) => entity && { entity, live: false }
  return {
    get: (kind, id) => loaded(reader.get(kind, id)),
    by: (kind, field, value) => loaded(reader.by(kind, field, value)),
    referring: (kind, field, id) => ({ entities: [...reader.all(kind)].filter(refersTo(field, id)), live: false }),
  }
}

const refersTo = (field: string, id: string) => (entity: Stored) =>
  (entity[field] as { readonly id?: unknown } | null | undefined)?.id === id
