import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { kinds } from '../config/kinds.ts'
import { type CheckContext, checkInsert, checkUpdate, checkUpsert, errorMessage } from './check.ts'
import type { Field, Fields, Schema } from './field.ts'

const id = '00000201-0000-4000-8000-000000000000'
const context: CheckContext = { now: () => 1_700_000_000, uuid: () => id, randomText: () => 'r'.repeat(32) }
const schemas = [...kinds.values()]

/** Values that go wrong in interesting ways, beside plain JSON. */
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    null,
    [],
    {},
    '',
    0,
    -1,
    1e308,
    'x',
    ['x'],
    [null],
    { id },
    { id: null },
    'http',
    ['http', 'tcp'],
    '~/(',
    '/%',
    '*',
    '\ud800',
    JSON.parse('{"toString":1,"valueOf":2}'),
    JSON.parse('{"__proto__":{"x":1},"constructor":{}}'),
    [JSON.parse('{"toString":1}')],
  ),
)

/** A value that a field might take, now and then something else. */
function likely(field: Field): fc.Arbitrary<unknown> {
  const good: Partial<Record<Field['type'], fc.Arbitrary<unknown>>> = {
    string: fc.oneof(
      fc.constantFrom<unknown>(...(field.one_of?.length ? field.one_of : ['a', '/a', 'h.test'])),
      fc.string(),
    ),
    integer: fc.integer({ min: -1, max: 100_000 }),
    number: fc.double(),
    boolean: fc.boolean(),
    foreign: fc.constant({ id }),
  }
  const nested = (): fc.Arbitrary<unknown> => {
    if (field.fields) return bodies(field.fields)
    if (field.elements) return fc.array(likely(field.elements), { maxLength: 3 })
    return field.values ? fc.dictionary(fc.string(), likely(field.values), { maxKeys: 3 }) : odd
  }
  return fc.oneof({ weight: 6, arbitrary: good[field.type] ?? nested() }, { weight: 1, arbitrary: odd })
}

function bodies(fields: Fields): fc.Arbitrary<object> {
  const model = Object.fromEntries(
    fields.flatMap((entry) => Object.entries(entry)).map(([name, field]) => [name, likely(field)]),
  )
  return fc.record(model, { requiredKeys: [] })
}

const bodyOf = (schema: Schema): fc.Arbitrary<unknown> => {
  const own = bodies(schema.fields)
  if (!schema.subschemas) return own
  const named = fc.constantFrom(...schema.subschemas.keys())
  const key = schema.subschema_key ?? ''
  return fc.tuple(own, named).map(([body, name]) => ({ ...body, [key]: key === 'protocols' ? [name] : name }))
}

const writes = fc
  .constantFrom(...schemas)
  .chain((schema) =>
    fc.tuple(fc.constant(schema), fc.oneof({ weight: 5, arbitrary: bodyOf(schema) }, { weight: 1, arbitrary: odd })),
  )

test('no body whatever makes a check throw, and every refusal has its line', () => {
  fc.assert(
    fc.property(writes, ([schema, body]) => {
      for (const checked of [checkInsert(schema, body, context), checkUpsert(schema, { id }, body, context)]) {
        if (!checked.ok) assert.match(errorMessage(checked.errors), /schema violation/)
        else assert.equal(typeof checked.value, 'object')
      }
    }),
    { numRuns: 1500 },
  )
})

test('what a check gives out, it takes again and changes nothing', () => {
  fc.assert(
    fc.property(writes, ([schema, body]) => {
      const first = checkInsert(schema, body, context)
      if (!first.ok) return
      const again = checkInsert(schema, first.value, context)
      assert.deepEqual(again, first)
    }),
    { numRuns: 1500 },
  )
})

test('a PATCH with nothing changes nothing', () => {
  fc.assert(
    fc.property(writes, ([schema, body]) => {
      const first = checkInsert(schema, body, context)
      if (!first.ok) return
      assert.deepEqual(checkUpdate(schema, first.value, {}, context), first)
    }),
    { numRuns: 1500 },
  )
})

test('no PATCH whatever makes a check throw', () => {
  const pairs = fc
    .constantFrom(...schemas)
    .chain((schema) => fc.tuple(fc.constant(schema), bodyOf(schema), fc.oneof(bodyOf(schema), odd)))
  fc.assert(
    fc.property(pairs, ([schema, body, patch]) => {
      const first = checkInsert(schema, body, context)
      if (!first.ok) return
      const patched = checkUpdate(schema, first.value, patch, context)
      if (!patched.ok) assert.match(errorMessage(patched.errors), /schema violation/)
      else assert.deepEqual(checkUpdate(schema, patched.value, {}, context), patched)
    }),
    { numRuns: 1500 },
  )
})
