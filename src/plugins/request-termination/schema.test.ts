import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkInsert } from '../../schema/check.ts'
import { schema } from './schema.ts'

const wrong: readonly (readonly [config: object, error: string])[] = [
  [{ message: 'm', body: 'b' }, 'message cannot be used with content_type or body'],
  [{ message: 'm', content_type: 't', echo: true }, 'message cannot be used with content_type or body'],
  [{ content_type: 't', echo: true }, 'content_type requires a body'],
  [{ body: 'b', echo: true }, 'echo cannot be used with content_type and body'],
]

for (const [config, error] of wrong) {
  test(`${Object.keys(config).join(' and ')}: ${error}`, () => {
    const checked = checkInsert(schema, { config })
    assert.ok(!checked.ok)
    assert.deepEqual(checked.errors, { config: error })
  })
}
