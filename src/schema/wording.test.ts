/** Every violation that was recorded from a running Kong for the kinds that there are here, told in the same words. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { kinds } from '../config/kinds.ts'
import { checkInsert, checkOnly, errorMessage } from './check.ts'

interface Recorded {
  readonly name: string
  readonly kind: string
  /** `only`: by `POST /schemas/:entity/validate`. */
  readonly how: 'insert' | 'only'
  readonly body: unknown
  readonly errors: unknown
  readonly message: string
}

const file = new URL('../../test/golden/schema-violations.json', import.meta.url)
// Private keys stand there under a marker, lest tools that look for leaked keys find them.
const recorded: readonly Recorded[] = JSON.parse(readFileSync(file, 'utf8').replaceAll('THROWAWAY ', ''))

for (const { name, kind, how, body, errors, message } of recorded) {
  test(`${kind}: ${name} (${how}) is refused in Kong's words`, () => {
    const schema = kinds.get(kind)
    assert.ok(schema)
    const checked = how === 'only' ? checkOnly(schema, body) : checkInsert(schema, body)
    assert.ok(!checked.ok)
    assert.match(errorMessage(checked.errors), pattern(message))
    assert.deepEqual(withPatterns(checked.errors, errors), errors)
  })
}

const anyText = '{{$str}}'

function pattern(text: string): RegExp {
  const parts = text.split(anyText).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join('[^]*')}$`)
}

/** The actual tree with expected texts in place of those that match them as patterns. */
function withPatterns(actual: unknown, expected: unknown): unknown {
  if (typeof actual === 'string' && typeof expected === 'string')
    return pattern(expected).test(actual) ? expected : actual
  if (Array.isArray(actual))
    return actual.map((member, index) => withPatterns(member, Array.isArray(expected) ? expected[index] : undefined))
  if (typeof actual !== 'object' || actual === null) return actual
  return Object.fromEntries(
    Object.entries(actual).map(([name, member]) => [
      name,
      withPatterns(member, (expected as Record<string, unknown>)?.[name]),
    ]),
  )
}

interface Accepted {
  readonly name: string
  readonly kind: string
  readonly body: unknown
  /** The entity as it was answered, without what differs each time. */
  readonly value: Readonly<Record<string, unknown>>
}

const acceptedFile = new URL('../../test/golden/schema-accepted.json', import.meta.url)
const accepted: readonly Accepted[] = JSON.parse(readFileSync(acceptedFile, 'utf8').replaceAll('THROWAWAY ', ''))

for (const { name, kind, body, value } of accepted) {
  test(`${kind}: ${name} is taken and completed as by Kong`, () => {
    const schema = kinds.get(kind)
    assert.ok(schema)
    const checked = checkInsert(schema, body)
    assert.ok(checked.ok, checked.ok ? '' : errorMessage(checked.errors))
    const compared = Object.fromEntries(Object.keys(value).map((field) => [field, checked.value[field]]))
    assert.deepEqual(sorted(compared), sorted(value))
  })
}

/** Kong's sets come back in any order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, sorted(member)]))
}
