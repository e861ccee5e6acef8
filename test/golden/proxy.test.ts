/** Kong's recorded answers, and what its upstream received, replayed against the whole gateway without a database. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway, type Gateway } from '../../src/main.ts'
import { differences } from './differences.ts'
import { exchange, startUpstream, valuesOf, type Got, type Header, type Reply, type Upstream } from './exchange.ts'

interface Request {
  readonly method?: string
  readonly path?: string
  readonly version?: string
  readonly headers?: readonly Header[]
  readonly body?: string
  readonly raw?: string
  readonly parts?: readonly string[]
}

interface ExpectedUpstream {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers?: readonly Header[]
  /** Headers that differ from run to run. */
  readonly ignore?: readonly string[]
  readonly body?: { readonly len: number; readonly sha256?: string }
}

/** A request with its answer, and what the upstream said to it. */
interface Step {
  readonly request: Request
  readonly reply?: Reply | readonly Reply[]
  readonly timeoutMs?: number
  readonly expect: {
    readonly status?: number | readonly number[]
    readonly headers?: Readonly<Record<string, string | readonly string[]>>
    readonly absentHeaders?: readonly string[]
    readonly bodyType?: 'echo' | 'json' | 'text' | 'empty' | 'ignore'
    readonly body?: unknown
    readonly interim?: readonly number[]
    readonly truncated?: boolean
    readonly rawBody?: string
    readonly upstream?: ExpectedUpstream | null
    readonly upstreamCount?: number
  }
}

/** One step, or several, each of which builds on those before. */
type Case = { readonly name: string } & (Step | { readonly steps: readonly Step[] })

/** What sets this run's counts apart. */
const nonce = `n${Date.now().toString(16)}`

let gateway: Gateway
let upstream: Upstream
const folder = mkdtempSync(join(tmpdir(), 'gibbon-golden-'))

before(async () => {
  upstream = await startUpstream()
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      database: 'off',
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '1',
      proxy_access_log: 'off',
      lua_max_req_headers: '1000',
    },
  })
  assert.ok(loaded.ok)
  gateway = await startGateway(loaded.settings)
})

after(async () => {
  upstream.close()
  await gateway.stop()
  rmSync(folder, { recursive: true })
})

for (const area of ['jwt', 'plugins-key-auth', 'plugins-basic-auth', 'plugins-acl', 'plugins-hmac-auth', 'plugins-multi-auth', 'plugins-precedence', 'plugins-rate-limiting', 'plugins-request-termination', 'http', 'http-plain', 'router', 'router-paths']) {
  const file = JSON.parse(readFileSync(join(import.meta.dirname, `public/${area}.json`), 'utf8')) as {
    config: object
    cases: readonly Case[]
  }
  suite(`recorded answers: ${area}`, () => {
    before(() => load(file.config))
    for (const one of file.cases) {
      test(one.name, async () => {
        const found = []
        for (const step of 'steps' in one ? one.steps : [one]) found.push(...(await replay(step)))
        const listed = differences(`${area}/${one.name}`)
        // A listed difference that is gone has to leave the list.
        if (listed) assert.notDeepEqual(found, [], `no longer different, though listed: ${listed}`)
        else assert.deepEqual(found, [])
      })
    }
  })
}

/** Templates of the recordings: `{{UPSTREAM_PORT}}` and its like, `"{{#UPSTREAM_PORT}}"` for a number, and those of `expand`. */
function filled<T>(value: T): T {
  const names: Readonly<Record<string, string>> = {
    UPSTREAM_PORT: String(upstream.port),
    PROXY_HOST: '127.0.0.1',
    PROXY_PORT: String(gateway.proxyPorts[0]),
    DEAD_PORT: '1',
    NONCE: nonce,
  }
  return JSON.parse(JSON.stringify(value), (_, part: unknown) => {
    if (typeof part !== 'string') return part
    const number = /^\{\{#([A-Z_]+)\}\}$/.exec(part)?.[1]
    return number === undefined ? expand(part, names) : Number(names[number])
  }) as T
}

/** `{{NAME}}`, `{{repeat TEXT TIMES}}` and `{{hs256 SECRET CLAIMS}}`, a token in whose claims `now+60` is a time. */
function expand(text: string, names: Readonly<Record<string, string>>): string {
  return text
    .replaceAll(/\{\{([A-Z_]+)\}\}/g, (whole, name: string) => names[name] ?? whole)
    .replaceAll(/\{\{repeat (.+?) (\d+)\}\}/g, (_, unit: string, times: string) => unit.repeat(Number(times)))
    .replaceAll(/\{\{hs256 (\S+) (\{.*?\})\}\}/g, (_, secret: string, claims: string) => signed(secret, claims))
}

function signed(secret: string, claims: string): string {
  const now = Math.floor(Date.now() / 1000)
  const payload = claims.replaceAll(/"now([+-]\d+)"/g, (_, seconds: string) => String(now + Number(seconds)))
  const text = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(payload)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

async function load(config: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPorts[0]}/config`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(filled(config)),
  })
  assert.equal(response.status, 201, await response.text())
}

async function replay(one: Step): Promise<string[]> {
  const { request, reply, expect } = filled(one)
  upstream.seen = []
  upstream.replies = reply === undefined ? [] : Array.isArray(reply) ? (reply as Reply[]) : [reply as Reply]
  const parts = partsOf(request)
  const isHead = parts[0]?.startsWith('HEAD ') ?? false
  const got = await exchange(gateway.proxyPorts[0] ?? 0, parts, isHead, one.timeoutMs ?? 5000)
  return [...compareResponse(expect, got), ...compareUpstream(expect)]
}

function partsOf(request: Request): readonly string[] {
  if (request.parts) return request.parts
  if (request.raw !== undefined) return [request.raw]
  const { method = 'GET', path = '/', version = '1.1', headers = [], body = '' } = request
  const framed = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
  const all = body === '' || framed ? headers : [...headers, ['Content-Length', String(body.length)] as const]
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return [`${method} ${path} HTTP/${version}\r\n${lines}\r\n${body}`]
}

/** What differs from run to run, put alike on both sides: the product's name, generated ids, counts of ms and bytes. */
function alike(text: string): string {
  return text
    .replaceAll(/\b(gibbon|kong)\/(\d+\.\d+\.\d+|<v>)/g, 'product')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|<uuid>/g, 'uuid')
    .replaceAll(/\b[0-9a-f]{32}\b|<id>/g, 'id')
}

const counted = /^(content-length|x-kong-.*latency|ratelimit-reset|retry-after)$/i
const value = (name: string, text: string): string => (counted.test(name) ? 'number' : alike(text))
const joined = (name: string, values: readonly string[]): string => values.map((text) => value(name, text)).join(', ')

function compareResponse(expect: Step['expect'], got: Got): string[] {
  if (expect.rawBody !== undefined) return got.raw === expect.rawBody ? [] : [`not the raw answer: ${got.raw}`]
  const { response } = got
  if (!response) return [`no response: ${got.raw}`]
  const found: string[] = []
  const same = (what: string, actual: unknown, expected: unknown) => {
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
      found.push(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
    }
  }
  const statuses = [expect.status].flat()
  if (!statuses.includes(response.status)) same('status', response.status, statuses)
  for (const [name, values] of Object.entries(expect.headers ?? {})) {
    const wanted = typeof values === 'string' ? [values] : values
    same(`header ${name}`, joined(name, valuesOf(response.headers, name)), joined(name, wanted))
  }
  for (const name of expect.absentHeaders ?? []) same(`header ${name}`, valuesOf(response.headers, name), [])
  same('interim', got.interim, expect.interim ?? [])
  if (expect.truncated !== undefined) same('cut off', !response.complete, expect.truncated)
  return [...found, ...compareBody(expect, response.body)]
}

function compareBody({ bodyType, body }: Step['expect'], text: string): string[] {
  const wanted = {
    echo: () => upstream.seen.at(-1)?.sent,
    json: () => sortedJson(body),
    text: () => alike(String(body)),
    empty: () => '',
    ignore: () => undefined,
  }[bodyType ?? 'ignore']()
  if (wanted === undefined) return bodyType === 'echo' ? ['nothing reached the upstream'] : []
  const actual = bodyType === 'echo' ? text : bodyType === 'json' ? sortedJson(parsed(text)) : alike(text)
  return actual === wanted ? [] : [`body: ${actual.slice(0, 300)} instead of ${wanted.slice(0, 300)}`]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const sortedJson = (body: unknown): string =>
  alike(
    JSON.stringify(body, (_, part: unknown) =>
      part && typeof part === 'object' && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : part,
    ),
  )

function compareUpstream({ upstream: wanted, upstreamCount }: Step['expect']): string[] {
  const { seen } = upstream
  const found: string[] = []
  if (upstreamCount !== undefined && seen.length !== upstreamCount) found.push(`upstream asked ${seen.length} times`)
  if (wanted === undefined) return found
  if (wanted === null) return seen.length === 0 ? found : [...found, `reached the upstream: ${seen[0]?.target}`]
  const last = seen.at(-1)
  if (!last) return [...found, 'nothing reached the upstream']
  const line = (request: { method: string; target: string; version: string }) =>
    alike(`${request.method} ${request.target} ${request.version}`)
  if (line(last) !== line(wanted)) found.push(`upstream got ${line(last)} instead of ${line(wanted)}`)
  const names = new Set([...last.headers, ...(wanted.headers ?? [])].map(([name]) => name.toLowerCase()))
  for (const name of ['date', ...(wanted.ignore ?? [])]) names.delete(name)
  for (const name of wanted.headers ? names : []) {
    const [actual, expected] = [valuesOf(last.headers, name), valuesOf(wanted.headers ?? [], name)]
    if (joined(name, actual) !== joined(name, expected)) found.push(`upstream header ${name}: ${actual} instead of ${expected}`)
  }
  const { body } = wanted
  const sum = () => createHash('sha256').update(last.body, 'latin1').digest('hex')
  if (body && (body.len !== last.body.length || (body.sha256 !== undefined && body.sha256 !== sum()))) {
    found.push(`upstream body of ${last.body.length} bytes instead of ${body.len}`)
  }
  return found
}
