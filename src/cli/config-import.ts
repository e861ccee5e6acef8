/** Where `gibbon config import` writes to: the store of a gateway that does not run, or the Admin API of one that does. */
import type { TextFormat } from '../config/declarative-text.ts'
import { type Checked, type Loaded, mergeDeclarative, parseDeclarative, type Refusal } from '../config/declarative.ts'
import { catalogueFor, kinds } from '../config/kinds.ts'
import type { Settings } from '../config/settings.ts'
import type { Store, StoreError } from '../store/store.ts'
import { runningGateway } from './running.ts'
import { withStore } from './with-store.ts'

/** How many entities were written, or why none were: the file's mistakes, or something else in words. */
export type Imported = { readonly entities: number } | { readonly refusal: Refusal } | { readonly problem: string }

/** Writes into the store under the prefix, in one transaction, holding the prefix's lock meanwhile. */
export async function importInto(settings: Settings, text: string, format: TextFormat): Promise<Imported> {
  if (settings.database === 'off') {
    return {
      problem:
        'with database = off the content is the file that declarative_config names: there is nothing to import into',
    }
  }
  const pid = runningGateway(settings.prefix)
  if (pid !== undefined) {
    return {
      problem: `a gateway runs on ${settings.prefix} (process ${pid}): name its Admin API, as in --admin http://127.0.0.1:8001`,
    }
  }
  try {
    return await withStore(settings, (store) => merge(store, settings, text, format))
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

async function merge(store: Store, settings: Settings, text: string, format: TextFormat): Promise<Imported> {
  const { kinds: own } = catalogueFor(settings)
  const merged = await mergeDeclarative(store, text, { format, kinds: own })
  if ('places' in merged) return { refusal: merged }
  const { written, entities, at } = merged
  return written.ok ? { entities } : { problem: storeProblem(written.error, at) }
}

function storeProblem(error: StoreError, loaded: Loaded | undefined): string {
  const which = loaded ? `${loaded.kind} ${loaded.entity.id}: ` : ''
  if (error.code === 'unavailable') return error.message
  if (error.code !== 'unique') return `${which}${JSON.stringify(error)}; nothing was imported`
  const fields = JSON.stringify(error.fields)
  return `${which}another one in the store already has ${fields}: give this one its id; nothing was imported`
}

/** An Admin API, and what every request to it carries. */
interface Target {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** Writes entity after entity through an Admin API, referenced ones first; one without a database takes the file as a whole. */
export async function importThrough(
  admin: Target,
  settings: Settings,
  text: string,
  format: TextFormat,
): Promise<Imported> {
  const parsed = parseDeclarative(text, { format, kinds: catalogueFor(settings).kinds, transform: 'later' })
  if (!parsed.ok) return { refusal: parsed }
  if (!parsed.transform && parsed.entities.some(({ kind }) => kinds.get(kind)?.$transform))
    return { problem: 'an Admin API takes no secrets that are hashed already (_transform: false)' }
  const base = { ...admin, url: admin.url.replace(/\/+$/, '') }
  try {
    const root = await ask(base, '/', 'GET')
    if (root.status === 401) return { problem: `${admin.url}: ${String(root.body['message'])}` }
    const database = (root.body['configuration'] as { readonly database?: unknown } | undefined)?.database
    if (root.status !== 200 || typeof root.body['version'] !== 'string')
      return { problem: `${admin.url} is no Admin API` }
    if (database === 'off')
      return { problem: `the gateway at ${admin.url} has no database: POST the file to ${base.url}/config` }
    return await putAll(base, parsed)
  } catch (error) {
    const { cause, message } = error as Error
    return { problem: `${admin.url}: ${cause instanceof Error ? cause.message : message}` }
  }
}

async function putAll(base: Target, { entities }: Checked): Promise<Imported> {
  let done = 0
  for (const loaded of entities) {
    const answer = await put(base, loaded)
    if (answer.status >= 300) {
      const why = typeof answer.body['message'] === 'string' ? answer.body['message'] : `status ${answer.status}`
      return {
        problem: `${loaded.kind} ${loaded.entity.id}: ${why}; ${done} of ${entities.length} were imported before`,
      }
    }
    done++
  }
  return { entities: done }
}

/** Targets can be reached below their upstream only, and there a PUT changes but does not make them. */
async function put(base: Target, { kind, entity }: Loaded): Promise<Answer> {
  if (kind !== 'targets') return ask(base, `/${kinds.get(kind)?.admin_api_name ?? kind}/${entity.id}`, 'PUT', entity)
  const upstream = (entity['upstream'] as { readonly id: string }).id
  const collection = `/upstreams/${upstream}/targets`
  const changed = await ask(base, `${collection}/${entity.id}`, 'PUT', entity)
  return changed.status === 404 ? ask(base, collection, 'POST', entity) : changed
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const timeoutMs = 30_000

async function ask({ url, headers }: Target, path: string, method: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    signal: AbortSignal.timeout(timeoutMs),
    redirect: 'error',
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) as Record<string, unknown> }
  } catch {
    return { status: response.status, body: {} }
  }
}
