/** Kong's recorded answers on its Admin API without a database, replayed against ours. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { sendTo, startTestAdmin, type TestAdmin, type TestAnswer } from '../admin/fixture.ts'
import { startTestGateway } from '../e2e/gateway.ts'
import { absentPluginsIn, withoutAbsent } from './absent.ts'

interface Case {
  readonly name: string
  readonly target?: 'proxy' | 'admin' | 'status'
  /** Whether the case replaces the configuration, so that it has to be loaded again. */
  readonly reloadAfter?: boolean
  readonly request: {
    readonly method?: string
    readonly path?: string
    readonly headers?: readonly (readonly [string, string])[]
    readonly body?: string
    readonly raw?: string
  }
  readonly expect: {
    readonly status?: number | readonly number[]
    readonly headers?: Readonly<Record<string, string>>
    readonly absentHeaders?: readonly string[]
    readonly bodyType?: 'json' | 'keys' | 'shape' | 'text' | 'empty' | 'ignore'
    readonly body?: unknown
    readonly unordered?: readonly string[]
  }
}

for (const area of ['admin-dbless', 'admin-more']) {
  const file = JSON.parse(readFileSync(join(import.meta.dirname, `public/${area}.json`), 'utf8')) as {
    readonly config: object
    readonly cases: readonly Case[]
  }
  suite(`recorded answers: ${area}`, () => {
    let admin: TestAdmin
    const left = withoutAbsent(filled(file.config))
    before(async () => {
      admin = await startTestAdmin({ database: 'off' })
      await load(admin, left.config)
    })
    after(() => admin.stop())
    const cases = file.cases.filter(({ request }) => request.raw === undefined)
    for (const one of cases.filter(({ target }) => target === 'status')) {
      test(one.name, async (t) => {
        const gateway = await startTestGateway({ database: 'off', status_listen: '127.0.0.1:0' })
        t.after(() => gateway.stop())
        assert.equal((await gateway.send('POST', '/config', left.config)).status, 201)
        const answer = await sendTo(gateway.statusPort, one.request.method ?? 'GET', one.request.path ?? '/')
        assert.deepEqual(compare(one.expect, answer, ''), [])
      })
    }
    for (const one of cases.filter(({ target }) => target === 'admin')) {
      test(one.name, async (t) => {
        const { request, expect } = filled(one)
        const { method = 'GET', path = '/', headers = [], body } = request
        const answer = await admin.send(method, path, body && Buffer.from(body, 'latin1'), sendable(headers))
        if (one.reloadAfter) await load(admin, left.config)
        const found = compare(expect, answer, JSON.stringify([file.config, request]))
        assert.ok(answer.status < 500, answer.text)
        assert.deepEqual(admin.errors, [])
        const waitsFor = absentPluginsIn(one)
        const needsAbsent = waitsFor.length > 0 || left.ids.some((id) => JSON.stringify(one).includes(id))
        if (found.length > 0 && needsAbsent) t.skip(`waits for ${waitsFor.join(', ') || 'plugins that are not there'}`)
        else assert.deepEqual(found, [])
      })
    }
  })
}

function filled<T>(value: T): T {
  const names: Readonly<Record<string, string>> = { UPSTREAM_PORT: '9999', PROXY_HOST: '127.0.0.1', ADMIN_PORT: '8001' }
  return JSON.parse(JSON.stringify(value), (_, part: unknown) => {
    if (typeof part !== 'string') return part
    const number = /^\{\{#([A-Z_]+)\}\}$/.exec(part)?.[1]
    if (number !== undefined) return Number(names[number])
    return part.replaceAll(/\{\{([A-Z_]+)\}\}/g, (whole, name: string) => names[name] ?? whole)
  }) as T
}

async function load(admin: TestAdmin, config: object): Promise<void> {
  const answer = await admin.send('POST', '/config', config)
  assert.equal(answer.status, 201, answer.text)
}

/** The client of the tests writes these itself. */
const sendable = (headers: readonly (readonly [string, string])[]): Record<string, string> =>
  Object.fromEntries(headers.filter(([name]) => !['Host', 'Connection', 'Content-Length'].includes(name)))

function compare(expect: Case['expect'], answer: TestAnswer, known: string): string[] {
  const found: string[] = []
  const same = (what: string, actual: unknown, expected: unknown): void => {
    const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (is !== wanted) found.push(`${what}: ${is} instead of ${wanted}`)
  }
  const statuses = [expect.status ?? 200].flat()
  if (!statuses.includes(answer.status)) same('status', answer.status, statuses)
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    const actual = answer.headers[name.toLowerCase()]
    if (name !== 'Connection') same(name, headerText(name, String(actual)), headerText(name, value))
  }
  for (const name of expect.absentHeaders ?? []) same(name, answer.headers[name.toLowerCase()], undefined)
  const body = bodies[expect.bodyType ?? 'ignore']
  same('body', body(answer.text, answer.json, expect, known), body(String(expect.body), expect.body, expect, known))
  return found
}

const counted = /^(content-length|x-kong-admin-latency)$/i

/** What differs from run to run: the product's name and counts of ms and bytes. */
const headerText = (name: string, value: string): string =>
  counted.test(name) && /^(\d+|<n>)$/.test(value) ? 'number' : value.replace(/^(kong|gibbon)\/(\d+\.\d+\.\d+|<v>)$/, 'product')

type Shown = (text: string, json: unknown, expect: Case['expect'], known: string) => unknown

/** What is compared of a body, of the answer's and of the expected one. */
const bodies: Readonly<Record<NonNullable<Case['expect']['bodyType']>, Shown>> = {
  ignore: () => undefined,
  empty: (text) => (text === 'undefined' ? '' : text),
  text: (text) => text,
  keys: (_, json) => (Array.isArray(json) ? json.map(String) : Object.keys(json as object)).toSorted(),
  shape: (_, json) => shape(json),
  json: (_, json, { unordered = [] }, known) => alike(json, '', unordered, known),
}

const shape = (value: unknown): unknown => {
  if (Array.isArray(value)) return 'array'
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.fromEntries(sorted(value).map(([name, inner]) => [name, shape(inner)]))
}

const sorted = (value: object): [string, unknown][] =>
  Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))

const uuid = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi

/** A value with what differs from run to run put alike: times, offsets, and ids that nobody gave; objects by key. */
function alike(value: unknown, name: string, unordered: readonly string[], known: string): unknown {
  if (typeof value === 'number') return name === 'created_at' || name === 'updated_at' ? 'time' : value
  if (typeof value === 'string') {
    if (name === 'offset') return 'offset'
    const text = name === 'next' ? value.replace(/offset=[^&]+/, 'offset') : value
    return text.replaceAll(uuid, (id) => (known.includes(id) ? id : 'uuid'))
  }
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => alike(item, '', unordered, known))
    return unordered.includes(name) ? items.map((item) => JSON.stringify(item)).toSorted() : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = sorted(value).map(([key, inner]) => [
    String(alike(key, '', [], known)),
    alike(inner, key, unordered, known),
  ])
  return Object.fromEntries(entries)
}
