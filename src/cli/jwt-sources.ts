/** Where `gibbon jwt explain` gets its answer: from a running gateway's Admin API, or from a declarative file. */
import { readFile } from 'node:fs/promises'
import { parseDeclarative } from '../config/declarative.ts'
import type { Entity, EntityReader } from '../pdk/entities.ts'
import { getDocument } from '../plugins/jwt/document.ts'
import type { IssuerKeys } from '../plugins/jwt/explanation.ts'
import { fetchKeys, type IssuerAddress } from '../plugins/jwt/key-fetching.ts'
import { jwtPlugins, type Report, reportOn } from '../plugins/jwt/report.ts'

/** What is asked about a token. */
export interface Question {
  readonly token: string
  /** The plugin that is meant, by a name. */
  readonly on: string | undefined
  /** The time at which it is judged, in seconds since 1970. */
  readonly now: number
}

export interface Source {
  /** The gateway's clock, in whole seconds since 1970; undefined for a file. */
  readonly clock?: number
  ask(question: Question): Promise<Report | Unreadable>
}

/** What cannot be read, with the reason in words for the user. */
export interface Unreadable {
  readonly problem: string
}

const unknownPlugin = (name: string | undefined): Unreadable => ({
  problem: `no jwt plugin is called ${JSON.stringify(name)}`,
})

/** Reads a declarative file, YAML or JSON. Issuers' keys are fetched from here. */
export async function sourceFromFile(path: string): Promise<Source | Unreadable> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return { problem: (error as Error).message }
  }
  const declaration = parseDeclarative(text)
  if (!declaration.ok) return { problem: `${path} is no valid configuration: gibbon config validate ${path} tells why` }
  const kinds = Map.groupBy(declaration.entities, ({ kind }) => kind)
  const of = (kind: string) => kinds.get(kind)?.map(({ entity }) => entity) ?? []
  const entities = heldEntities(of)
  const plugins = jwtPlugins(of('plugins'), (kind, id) => entities.get(kind, id)?.entity)
  return {
    ask: async ({ token, on, now }) =>
      (await reportOn(token, plugins, on, { entities, now, issuerKeys: fetched })) ?? unknownPlugin(on),
  }
}

const fetched: IssuerKeys = {
  known: () => undefined,
  ask: async (address) =>
    (await fetchKeys(JSON.parse(address) as IssuerAddress, (url) => getDocument(url, undefined))).keys,
}

/** Entities held in memory, for the plugin's verification to read. */
function heldEntities(of: (kind: string) => readonly Entity[]): EntityReader {
  const find = (kind: string, field: string, value: string) => {
    const entity = of(kind).find((entity) => entity[field] === value)
    return entity && { entity, live: true }
  }
  return { get: (kind, id) => find(kind, 'id', id), by: find, referring: () => ({ entities: [], live: true }) }
}

const timeoutMs = 15_000

/** Asks a running gateway; `headers` go with each request, as a token of the Admin API does. */
export async function sourceFromGateway(
  adminUrl: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Source | Unreadable> {
  const send = async (path: string, init: RequestInit) => {
    const signal = AbortSignal.timeout(timeoutMs)
    return fetch(adminUrl.replace(/\/+$/, '') + path, { ...init, signal, redirect: 'error' })
  }
  try {
    const root = await send('/', { headers })
    const { version } = (await root.json()) as { readonly version?: unknown }
    if (typeof version !== 'string') return { problem: `${adminUrl} does not answer like an Admin API` }
    return {
      clock: Math.floor(Date.parse(root.headers.get('date') ?? '') / 1000),
      ask: async (question) => {
        const body = JSON.stringify(question)
        const init = { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body }
        const response = await send('/jwt/explain', init)
        const answer = (await response.json()) as Report & { readonly message?: string }
        return response.ok ? answer : { problem: answer.message ?? `/jwt/explain answers ${response.status}` }
      },
    }
  } catch (error) {
    return unreadable(adminUrl, error as Error)
  }
}

/** What `fetch` says of itself is only that it failed; why stands in the cause. */
function unreadable(adminUrl: string, { message, cause }: Error): Unreadable {
  const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message
  return { problem: `${adminUrl}: ${why}` }
}
