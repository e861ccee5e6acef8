/** Where `gibbon config import` writes to: the store of a gateway that does not run, or the Admin API of one that does. */
import type { TextFormat } from '../config/declarative-text.ts'
import {
  type Declaration,
  type Loaded,
  mergeDeclarative,
  parseDeclarative,
  previousOf,
  type Refusal,
} from '../config/declarative.ts'
import { kinds } from '../config/kinds.ts'
import { type Settings, storeFile } from '../config/settings.ts'
import { indexesOf } from '../store/kinds.ts'
import { lockPrefix } from '../store/lock.ts'
import { openStore } from '../store/sqlite/open.ts'
import type { Store, StoreError } from '../store/store.ts'
import { runningGateway } from './running.ts'

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
    const lock = lockPrefix(settings.prefix)
    try {
      return await withStore(storeFile(settings), (store) => merge(store, text, format))
    } finally {
      lock.release()
    }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

async function withStore(file: string, use: (store: Store) => Promise<Imported>): Promise<Imported> {
  const store = await openStore({ file, kinds: indexesOf(kinds) })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

async function merge(store: Store, text: string, format: TextFormat): Promise<Imported> {
  const previous = previousOf(store.reader)
  const parsed = parseDeclarative(text, { format, previous })
  if (!parsed.ok) return { refusal: parsed }
  const written = await mergeDeclarative(store, parsed, previous)
  return written.ok
    ? { entities: parsed.entities.length }
    : { problem: storeProblem(written.error, parsed.entities[written.at]) }
}

function storeProblem(error: StoreError, loaded: Loaded | undefined): string {
  const which = loaded ? `${loaded.kind} ${loaded.entity.id}: ` : ''
  if (error.code === 'unavailable') return error.message
  if (error.code !== 'unique') return `${which}${JSON.stringify(error)}; nothing was imported`
  const fields = JSON.stringify(error.fields)
  return `${which}another one in the store already has ${fields}: give this one its id; nothing was imported`
}

/** Writes entity after entity through an Admin API, referenced ones first; one without a database takes the file as a whole. */
export async function importThrough(admin: string, text: string, format: TextFormat): Promise<Imported> {
  const parsed = parseDeclarative(text, { format })
  if (!parsed.ok) return { refusal: parsed }
  const base = admin.replace(/\/+$/, '')
  try {
    const root = await ask(`${base}/`, 'GET')
    const database = (root.body['configuration'] as { readonly database?: unknown } | undefined)?.database
    if (root.status !== 200 || typeof root.body['version'] !== 'string') return { problem: `${admin} is no Admin API` }
    if (database === 'off')
      return { problem: `the gateway at ${admin} has no database: POST the file to ${base}/config` }
    return await putAll(base, parsed)
  } catch (error) {
    const { cause, message } = error as Error
    return { problem: `${admin}: ${cause instanceof Error ? cause.message : message}` }
  }
}

async function putAll(base: string, { entities }: Declaration): Promise<Imported> {
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
async function put(base: string, { kind, entity }: Loaded): Promise<Answer> {
  if (kind !== 'targets') return ask(`${base}/${kinds.get(kind)?.admin_api_name ?? kind}/${entity.id}`, 'PUT', entity)
  const upstream = (entity['upstream'] as { readonly id: string }).id
  const collection = `${base}/upstreams/${upstream}/targets`
  const changed = await ask(`${collection}/${entity.id}`, 'PUT', entity)
  return changed.status === 404 ? ask(collection, 'POST', entity) : changed
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const timeoutMs = 30_000

async function ask(url: string, method: 'GET' | 'PUT' | 'POST', body?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
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
