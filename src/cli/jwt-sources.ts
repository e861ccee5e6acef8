/** Where `gibbon jwt explain` reads jwt plugins and credentials from: a running gateway's Admin API, or a declarative file. */
import { readFile } from 'node:fs/promises'
import { parseDeclarative } from '../config/declarative.ts'
import type { Entities, Entity } from '../pdk/entities.ts'
import type { Config } from '../plugins/jwt/ready.ts'
import { schema } from '../plugins/jwt/schema.ts'
import { checkInsert } from '../schema/check.ts'

/** A jwt plugin as it is configured somewhere. */
export interface JwtPlugin {
  readonly id: string
  /** What it is for, such as `route "orders"` or `every request`. */
  readonly scope: string
  /** Everything that a user may call it by: ids and names of it and of what it is for. */
  readonly names: readonly string[]
  readonly enabled: boolean
  readonly config: Config
}

/** What is known of a gateway's jwt plugins. */
export interface Source {
  readonly plugins: readonly JwtPlugin[]
  /** The gateway's clock, in whole seconds since 1970; undefined for a file. */
  readonly clock?: number
  /** The credentials with these keys, and their consumers. */
  entities(keys: ReadonlySet<string>): Promise<Entities | Unreadable>
}

/** A source that could not be read, with the reason in words for the user. */
export interface Unreadable {
  readonly problem: string
}

/** The config that a jwt plugin has where nothing is set. */
export const plainConfig = (): Config => checkedConfig({})!

/** Reads a declarative file, YAML or JSON. */
export async function sourceFromFile(path: string): Promise<Source | Unreadable> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return { problem: (error as Error).message }
  }
  const declaration = parseDeclarative(text)
  if (!declaration.ok) return { problem: `${path} is no valid configuration: gibbon config validate ${path} tells why` }
  const of = (kind: string) => declaration.entities.filter((loaded) => loaded.kind === kind).map(({ entity }) => entity)
  const parents = new Map([...of('routes'), ...of('services')].map((entity) => [entity.id, entity]))
  const plugins = of('plugins').filter(({ name }) => name === 'jwt')
  const entities = Promise.resolve(heldEntities({ jwt_secrets: of('jwt_secrets'), consumers: of('consumers') }))
  return {
    plugins: plugins.map((plugin) => describe(plugin, (_, id) => parents.get(id))).filter(isPlugin),
    entities: () => entities,
  }
}

/** Reads a running gateway; `headers` go with each request, as a token of the Admin API does. */
export async function sourceFromGateway(
  adminUrl: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Source | Unreadable> {
  const admin = adminOf(adminUrl, headers)
  try {
    const { body, date } = await admin.get('/')
    if (typeof body?.['version'] !== 'string') return { problem: `${adminUrl} does not answer like an Admin API` }
    const plugins = (await admin.list('/plugins')).filter(({ name }) => name === 'jwt')
    const parents = new Map<string, Entity | undefined>()
    for (const plugin of plugins) {
      for (const kind of scopes) {
        const id = referenceOf(plugin, kind)
        if (id !== undefined) parents.set(id, await admin.entity(`/${kind}s/${id}`))
      }
    }
    return {
      plugins: plugins.map((plugin) => describe(plugin, (_, id) => parents.get(id))).filter(isPlugin),
      clock: Math.floor(Date.parse(date) / 1000),
      entities: (keys) => credentialsFrom(admin, keys).catch((error: unknown) => unreadable(adminUrl, error as Error)),
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

const scopes = ['route', 'service'] as const

function describe(plugin: Entity, parentOf: (kind: string, id: string) => Entity | undefined): JwtPlugin | undefined {
  const config = checkedConfig(plugin['config'])
  if (config === undefined) return undefined
  const names = [plugin.id, plugin['instance_name']]
  const scope: string[] = []
  for (const kind of scopes) {
    const id = referenceOf(plugin, kind)
    if (id === undefined) continue
    const name = parentOf(kind, id)?.['name']
    names.push(id, name)
    scope.push(`${kind} ${JSON.stringify(name ?? id)}`)
  }
  return {
    id: plugin.id,
    scope: scope.length === 0 ? 'every request' : scope.join(' and '),
    names: names.filter((name) => typeof name === 'string'),
    enabled: plugin['enabled'] !== false,
    config,
  }
}

const isPlugin = (plugin: JwtPlugin | undefined): plugin is JwtPlugin => plugin !== undefined

/** A plugin's config with every field; undefined where it does not pass the schema. */
function checkedConfig(config: unknown): Config | undefined {
  const checked = checkInsert(schema, { config })
  return checked.ok ? (checked.value['config'] as Config) : undefined
}

function referenceOf(entity: Entity, field: string): string | undefined {
  const reference = entity[field] as { readonly id?: unknown } | null | undefined
  return typeof reference?.id === 'string' ? reference.id : undefined
}

async function credentialsFrom(admin: Admin, keys: ReadonlySet<string>): Promise<Entities> {
  const jwt_secrets: Entity[] = []
  const consumers: Entity[] = []
  for (const key of keys) {
    const credential = await admin.entity(`/jwts/${encodeURIComponent(key)}`)
    // A key that looks like an id may have found the credential with that id.
    if (credential?.['key'] !== key) continue
    jwt_secrets.push(credential)
    const consumer = await admin.entity(`/consumers/${referenceOf(credential, 'consumer') ?? ''}`)
    if (consumer !== undefined) consumers.push(consumer)
  }
  return heldEntities({ jwt_secrets, consumers })
}

/** Entities held in memory, for the plugin's verification to read. */
function heldEntities(kinds: Readonly<Record<string, readonly Entity[]>>): Entities {
  const find = (kind: string, field: string, value: string) => {
    const entity = kinds[kind]?.find((entity) => entity[field] === value)
    return entity && { entity, live: true }
  }
  return {
    get: (kind, id) => find(kind, 'id', id),
    by: find,
    referring: () => ({ entities: [], live: true }),
    write: async () => ({ ok: false, reason: 'unavailable', message: 'these entities are only read' }),
  }
}

interface Admin {
  get(path: string): Promise<{ readonly body: Readonly<Record<string, unknown>> | undefined; readonly date: string }>
  /** One entity; undefined where there is none. */
  entity(path: string): Promise<Entity | undefined>
  /** Every entity of a collection, page after page. */
  list(path: string): Promise<Entity[]>
}

const timeoutMs = 5000
const mostPages = 100

function adminOf(adminUrl: string, headers: Readonly<Record<string, string>>): Admin {
  const base = adminUrl.replace(/\/+$/, '')
  const get: Admin['get'] = async (path) => {
    const response = await fetch(base + path, { headers, signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
    const date = response.headers.get('date') ?? ''
    if (response.status === 404) return { body: undefined, date }
    if (!response.ok) throw new Error(`${path} answers ${response.status}`)
    return { body: (await response.json()) as Record<string, unknown>, date }
  }
  const list: Admin['list'] = async (path) => {
    const entities: Entity[] = []
    let offset = ''
    for (let page = 0; page < mostPages; page++) {
      const { body } = await get(`${path}?size=1000${offset}`)
      if (Array.isArray(body?.['data'])) entities.push(...(body['data'] as Entity[]))
      if (typeof body?.['offset'] !== 'string') return entities
      offset = `&offset=${encodeURIComponent(body['offset'])}`
    }
    return entities
  }
  return { get, list, entity: async (path) => (await get(path)).body as Entity | undefined }
}
