/**
 * Runs a plugin's examples: each `###` of `example.http` is a request and its answer, sent through a gateway that has
 * `example.yaml` as its configuration and an echo server as its upstream.
 *
 * An answer's headers are those that matter, `*` in them and in the body's texts stands for anything, and a JSON body need only hold
 * what is written. `{{name}}` is what an earlier answer had in place of `{{name}}`.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startTestGateway, type TestGateway } from './gateway.ts'

/** What else an example needs, such as a server; `rewrite` tells the configuration where it is. */
export interface Surroundings {
  readonly rewrite: (yaml: string) => string
  readonly stop: () => Promise<void>
}

interface Options {
  readonly surroundings?: () => Promise<Surroundings>
  /** Why the examples cannot be run here. */
  readonly skip?: string | false
  readonly database?: boolean
  readonly settings?: Readonly<Record<string, string>>
}

interface Message {
  readonly start: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** Defines a test for each example in a plugin's folder; where the plugin writes, it needs a gateway with a database. */
export function runExamples(
  folder: string,
  { database = false, settings = {}, surroundings, skip = false }: Options = {},
): void {
  const [, ...examples] = readFileSync(join(folder, 'example.http'), 'utf8').split(/^### /m)
  let gateway: TestGateway
  const known = new Map<string, string>()
  let around: Surroundings | undefined
  suite('example.http', { skip }, () => {
    before(async () => {
      const yaml = readFileSync(join(folder, 'example.yaml'), 'utf8')
      around = await surroundings?.()
      gateway = await startTestGateway({ yaml: around?.rewrite(yaml) ?? yaml, database, settings })
    })
    after(async () => {
      await gateway.stop()
      await around?.stop()
    })
    for (const example of examples) {
      const name = example.slice(0, example.indexOf('\n'))
      test(name, () => play(gateway, example.slice(name.length + 1), known))
    }
  })
}

async function play(gateway: TestGateway, text: string, known: Map<string, string>): Promise<void> {
  const filled = text.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => known.get(name) ?? whole)
  const at = filled.search(/^HTTP\/1\.1 \d/m)
  const request = messageOf(filled.slice(0, at))
  const expected = messageOf(filled.slice(at))
  const [method = '', path = ''] = request.start.split(' ')
  const answer = await gateway.send(method, path, Object.fromEntries(request.headers), request.body)
  const status = Number(expected.start.split(' ')[1])
  assert.equal(answer.status, status, answer.text)
  for (const [name, value] of expected.headers) {
    assertText([answer.headers[name.toLowerCase()]].flat().join(', '), value, known)
  }
  if (expected.body === '') return
  assertHolds(answer.json ?? answer.text, answer.json === undefined ? expected.body : JSON.parse(expected.body), known)
}

function messageOf(text: string): Message {
  const [head = '', ...body] = text.trim().split('\n\n')
  const [start = '', ...lines] = head.split('\n').filter((line) => !line.startsWith('# '))
  const headers = lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)] as const)
  return { start, headers, body: body.join('\n\n') }
}

function assertHolds(actual: unknown, expected: unknown, known: Map<string, string>): void {
  if (typeof expected === 'string') return assertText(String(actual), expected, known)
  if (typeof expected !== 'object' || expected === null) return assert.deepEqual(actual, expected)
  if (Array.isArray(expected)) assert.equal((actual as unknown[]).length, expected.length)
  for (const [name, value] of Object.entries(expected)) {
    assert.ok(typeof actual === 'object' && actual !== null, JSON.stringify(actual))
    const member = (actual as Readonly<Record<string, unknown>>)[name]
    if (value === null) assert.equal(member ?? null, null, `there is a ${name}: ${JSON.stringify(member)}`)
    else assertHolds(member, value, known)
  }
}

/** `*` stands for anything; what `{{name}}` stands for is remembered. */
function assertText(actual: string, expected: string, known: Map<string, string>): void {
  const names: string[] = []
  const pattern = expected
    .split(/(\*|\{\{\w+\}\})/)
    .map((part) => {
      if (part === '*') return '.*'
      const name = /^\{\{(\w+)\}\}$/.exec(part)?.[1]
      if (name === undefined) return RegExp.escape(part)
      names.push(name)
      return '(.+?)'
    })
    .join('')
  const match = new RegExp(`^${pattern}$`, 's').exec(actual)
  assert.ok(match, `${JSON.stringify(actual)} in place of ${JSON.stringify(expected)}`)
  names.forEach((name, index) => known.set(name, match[index + 1] ?? ''))
}
