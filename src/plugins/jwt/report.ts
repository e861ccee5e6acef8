/** What every jwt plugin of a configuration says of a token: for `gibbon jwt explain` and `POST /jwt/explain`. No secret is in it. */
import type { Entity } from '../../pdk/entities.ts'
import { checkInsert } from '../../schema/check.ts'
import { type Bench, explainToken, type Explanation } from './explanation.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { parsePart } from './token.ts'

/** A jwt plugin as it is configured. */
export interface JwtPlugin {
  readonly id: string
  /** What it is for, such as `route "orders"` or `every request`. */
  readonly scope: string
  /** Everything that a user may call it by: ids and names of it and of what it is for. */
  readonly names: readonly string[]
  readonly enabled: boolean
  readonly config: Config
}

export interface Report {
  /** What the first two parts hold, also where the plugin would refuse them; absent where that is no JSON. */
  readonly header?: unknown
  readonly claims?: unknown
  /** The time at which the token is judged, in seconds since 1970. */
  readonly judged_at: number
  readonly plugins: readonly (Pick<JwtPlugin, 'id' | 'scope' | 'enabled'> & Explanation)[]
}

/** Explains what the plugins that `on` may call say of a token, or all; undefined where it calls none. */
export async function reportOn(
  text: string,
  plugins: readonly JwtPlugin[],
  on: string | undefined,
  bench: Bench,
): Promise<Report | undefined> {
  const chosen = on === undefined ? plugins : plugins.filter(({ names }) => names.includes(on))
  if (on !== undefined && chosen.length === 0) return undefined
  const explained: Report['plugins'][number][] = []
  for (const { id, scope, enabled, config } of chosen.length > 0 ? chosen : [nothingYet()])
    explained.push({ id, scope, enabled, ...(await explainToken(text, config, bench)) })
  const [header, claims] = text.split('.', 2).map((part) => parsePart(part))
  return {
    ...(header && { header: header.value }),
    ...(claims && { claims: claims.value }),
    judged_at: bench.now,
    plugins: explained,
  }
}

/** What stands for the plugins where there is none. */
function nothingYet(): JwtPlugin {
  const scope = 'nothing yet: as it would be with nothing set'
  return { id: '', scope, names: [], enabled: true, config: checkedConfig({})! }
}

const scopes = ['route', 'service'] as const

/** The jwt plugins among the plugin entities of a configuration; `parent` gives a route or a service. */
export function jwtPlugins(
  plugins: Iterable<Entity>,
  parent: (kind: 'routes' | 'services', id: string) => Entity | undefined,
): JwtPlugin[] {
  return [...plugins].filter(({ name }) => name === 'jwt').flatMap((plugin) => described(plugin, parent) ?? [])
}

function described(plugin: Entity, parent: Parameters<typeof jwtPlugins>[1]): JwtPlugin | undefined {
  const config = checkedConfig(plugin['config'])
  if (config === undefined) return undefined
  const names = [plugin.id, plugin['instance_name']]
  const scope: string[] = []
  for (const kind of scopes) {
    const id = (plugin[kind] as { readonly id: string } | null | undefined)?.id
    if (id === undefined) continue
    const name = parent(`${kind}s`, id)?.['name']
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

/** A config with every field; undefined where it does not pass the schema. */
function checkedConfig(config: unknown): Config | undefined {
  const checked = checkInsert(schema, { config })
  return checked.ok ? (checked.value['config'] as Config) : undefined
}
