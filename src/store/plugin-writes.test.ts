import assert from 'node:assert/strict'
import { onEachStore } from '../../test/store/each.ts'
import type { Change } from '../pdk/entities.ts'
import type { Schema } from '../schema/field.ts'
import { uuid } from '../schema/typedefs.ts'
import { pluginWriter } from './plugin-writes.ts'

const tokens: Schema = {
  name: 'tokens',
  ttl: true,
  fields: [{ id: uuid }, { token: { type: 'string' } }, { value: { type: 'integer', required: true } }],
}
const kinds = new Map([[tokens.name, tokens]])
const id = '00000000-0000-4000-8000-000000000001'

const counting = (by: number): Change => ({
  do: 'count',
  kind: 'tokens',
  entity: { id, token: 't', ttl: 1000 },
  field: 'value',
  by,
})

onEachStore('counts add up, whoever else counts at the same moment, from the first one on', async (store) => {
  const writers = [pluginWriter(store, kinds), pluginWriter(store, kinds)]
  const written = await Promise.all(Array.from({ length: 6 }, (_, at) => writers[at % 2]!([counting(at)])))
  assert.ok(written.every(({ ok }) => ok))
  store.reader.renew()
  const entity = store.reader.get('tokens', id)
  assert.deepEqual([entity?.['value'], entity?.['token']], [15, 't'])
  assert.ok(Number(entity?.['ttl']) > 900)
})

onEachStore('a count tells what it came to, and that its entity is refused', async (store) => {
  const write = pluginWriter(store, kinds)
  const values = async (by: number) => {
    const changed = await write([counting(by)])
    return changed.ok ? changed.entities.map(({ value }) => value) : changed.message
  }
  assert.deepEqual([await values(5), await values(-2)], [[5], [3]])
  const refused = await write([{ ...counting(1), entity: { id, token: 5 } } as Change])
  assert.equal(refused.ok, false)
})
