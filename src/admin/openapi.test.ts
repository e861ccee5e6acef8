import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'
import { capture, readRecording, withVars, type Step } from '../../test/admin/recorded.ts'

let admin: TestAdmin
// oxlint-disable-next-line typescript/no-explicit-any -- the tests look into the whole of it
let document: any
before(async () => {
  admin = await startTestAdmin()
  document = (await admin.send('GET', '/openapi.json')).json
})
after(() => admin.stop())

test('the description is an OpenAPI 3.1 document', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(document))
  assert.deepEqual(errors ?? [], [])
  assert.equal(valid, true)
  assert.equal(validator.version, '3.1')
})

test('the description has every path with every method', async () => {
  const paths = (await admin.send('GET', '/endpoints')).json.data as string[]
  const ours = Object.keys(document.paths).filter((path) =>
    /^\/(jwt-revocations|jwt\/|traffic$)|\/session_metadatas/.test(path),
  )
  assert.equal(ours.length, 11)
  assert.deepEqual(Object.keys(document.paths).toSorted(), [...paths, ...ours].toSorted())
  for (const path of paths) {
    const allowed = await admin.send('OPTIONS', path.replaceAll(/\{\w+\}/g, '00000000-0000-4000-8000-000000000001'))
    if (allowed.status !== 204) continue
    const methods = String(allowed.headers['allow']).split(', ')
    const described = Object.keys(document.paths[path]).filter((key) => key !== 'parameters')
    const expected = methods.filter((method) => method !== 'HEAD' && method !== 'OPTIONS')
    assert.deepEqual(described.map((method) => method.toUpperCase()).toSorted(), expected, path)
  }
})

test('operations have names of their own, and references lead somewhere', () => {
  const operations = Object.values(document.paths as Record<string, Record<string, { operationId?: string }>>)
    .flatMap((item) => Object.values(item))
    .map(({ operationId }) => operationId)
    .filter((id) => id !== undefined)
  assert.equal(new Set(operations).size, operations.length)
  for (const [, name = ''] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(Object.hasOwn(document.components.schemas, name), name)
  }
})

test('what the API answers and takes is as its description says', async (t) => {
  const validate = validators()
  const { steps, vars } = readRecording(new URL('../../test/golden/admin.json', import.meta.url))
  let checked = 0
  for (const recorded of steps) {
    const step = withVars(recorded, vars)
    const answer = await admin.send(step.method, step.path, step.body, step.headers)
    capture(step, answer, vars)
    const operation = operationOf(step.method, step.path.split('?')[0] ?? '')
    if (!operation || answer.status >= 300 || step.method === 'HEAD') continue
    const response = operation.responses[answer.status] ?? operation.responses['2XX']
    const schema = response?.content?.['application/json']?.schema
    if (schema) assert.deepEqual(validate(schema, answer.json), [], `${step.name}: ${answer.text.slice(0, 300)}`)
    const sent = operation.requestBody?.content['application/json'].schema
    if (sent && isPlainJson(step)) assert.deepEqual(validate(sent, step.body), [], `the body of ${step.name}`)
    checked++
  }
  assert.ok(checked > 300, `only ${checked}`)
  t.diagnostic(`${checked} answers are as described`)
})

/** Bodies that are taken though no client should send them, such as an array for a record. */
const lenient = /^(794) /

/** Forms are described by what they stand for, and what a path lays down may stand in a body in any form. */
const isPlainJson = ({ name, path, body, headers = {} }: Step): boolean =>
  !lenient.test(name) &&
  typeof body === 'object' &&
  body !== null &&
  !Array.isArray(body) &&
  !headers['Content-Type'] &&
  !/\w\/.+\//.test(path)

interface Operation {
  readonly responses: Record<string, { content?: Record<string, { schema: object }> }>
  readonly requestBody?: { content: { 'application/json': { schema: object } } }
}

/** The described operation that a path is of; literal segments go before parameters. */
function operationOf(method: string, path: string): Operation | undefined {
  const parts = path.split('/').filter((part) => part !== '')
  const fits = (pattern: string): boolean => {
    const wanted = pattern.split('/').filter((part) => part !== '')
    return wanted.length === parts.length && wanted.every((part, at) => part.startsWith('{') || part === parts[at])
  }
  const [found] = Object.keys(document.paths)
    .filter(fits)
    .toSorted((a, b) => a.split('{').length - b.split('{').length)
  return found === undefined ? undefined : document.paths[found][method.toLowerCase()]
}

function validators(): (schema: object, value: unknown) => unknown[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  formats.default(ajv)
  ajv.addSchema({ $id: 'openapi', components: document.components })
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>()
  return (schema, value) => {
    const text = JSON.stringify(schema).replaceAll('"#/', '"openapi#/')
    const check = compiled.get(text) ?? ajv.compile(JSON.parse(text) as object)
    compiled.set(text, check)
    return check(value) ? [] : (check.errors ?? [])
  }
}
