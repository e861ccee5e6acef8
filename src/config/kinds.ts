/** Every kind of entity, with the plugins' and vaults' settings put in their places and references between kinds tied. */
import { admin_tokens } from '../entities/admin_tokens.ts'
import { ca_certificates } from '../entities/ca_certificates.ts'
import { certificates } from '../entities/certificates.ts'
import { clustering_data_planes } from '../entities/clustering_data_planes.ts'
import { consumers } from '../entities/consumers.ts'
import { filter_chains, filterChainsOf, plainConfig } from '../entities/filter_chains.ts'
import { key_sets } from '../entities/key_sets.ts'
import { keyrings } from '../entities/keyrings.ts'
import { keys } from '../entities/keys.ts'
import { parameters } from '../entities/parameters.ts'
import { plugins as pluginEntity } from '../entities/plugins.ts'
import { expressionRoutes, routes } from '../entities/routes.ts'
import { services } from '../entities/services.ts'
import { snis } from '../entities/snis.ts'
import { tags } from '../entities/tags.ts'
import { target_health } from '../entities/target_health.ts'
import { targets } from '../entities/targets.ts'
import { upstreams } from '../entities/upstreams.ts'
import { vaults } from '../entities/vaults.ts'
import { workspaces } from '../entities/workspaces.ts'
import { bundledPlugins, type BundledPlugin } from '../plugins/index.ts'
import type { Field, Fields, Schema, Subschema } from '../schema/field.ts'
import { bundledVaults } from '../vaults/index.ts'
import { type Filters, installedFilters } from './filters.ts'
import type { Settings } from './settings.ts'

/** The vaults' settings by the vault's name. */
export const vaultSchemas: ReadonlyMap<string, Schema> = new Map(bundledVaults.map((schema) => [schema.name, schema]))

/** What may be configured: every kind by Kong's name for it, such as `services` or `jwt_secrets`, and the plugins' settings. */
export interface Catalogue {
  readonly kinds: ReadonlyMap<string, Schema>
  /** By the plugin's name. */
  readonly pluginSchemas: ReadonlyMap<string, Schema>
  /** What filter chains may name; undefined where there may be none. */
  readonly filters: Filters | undefined
}

/** What the settings say beside which plugins there are. */
interface Variety {
  /** How routes are written. */
  readonly flavor?: string
  readonly filters?: Filters | undefined
  /** `off` where there is none, without which some settings of plugins mean nothing. */
  readonly database?: string
}

/** The catalogue with these plugins alone, and the kinds that they bring. */
export function catalogueOf(plugins: readonly BundledPlugin[], { flavor, filters, database }: Variety = {}): Catalogue {
  const pluginSchemas: ReadonlyMap<string, Schema> = new Map(
    plugins.map(({ name, schema, withoutDatabase = schema }) => [name, database === 'off' ? withoutDatabase : schema]),
  )
  const kinds = new Map<string, Schema>()
  const kindNamed = (name: string): Schema => {
    const schema = kinds.get(name)
    if (!schema) throw new Error(`no kind of entity is called ${name}`)
    return schema
  }
  for (const schema of declaredWith(plugins, pluginSchemas)) kinds.set(schema.name, tied(schema, kindNamed))
  if (flavor === 'expressions') kinds.set(expressionRoutes.name, tied(expressionRoutes, kindNamed))
  if (filters) {
    const chains = filterChainsOf([...filters.keys()], (name) => filters.get(name) !== plainConfig)
    kinds.set(chains.name, tied(chains, kindNamed))
  }
  return { kinds, pluginSchemas, filters }
}

/** The catalogue that follows from the settings. */
export const catalogueFor = (
  settings: Pick<Settings, 'plugins' | 'router_flavor' | 'wasm' | 'wasm_filters' | 'wasm_filters_path' | 'database'>,
): Catalogue =>
  catalogueOf(enabledPlugins(settings.plugins), {
    flavor: settings.router_flavor,
    filters: installedFilters(settings),
    database: settings.database,
  })

/** The plugins that the setting `plugins` allows: names, `bundled` for all; none at all where the first is `off`. */
export function enabledPlugins(names: readonly string[]): readonly BundledPlugin[] {
  if (names[0] === 'off') return []
  return bundledPlugins.filter(({ name }) => names.includes(name) || names.includes('bundled'))
}

const declaredWith = (
  plugins: readonly BundledPlugin[],
  pluginSchemas: ReadonlyMap<string, Schema>,
): readonly Schema[] => [
  workspaces,
  consumers,
  certificates,
  services,
  routes,
  snis,
  upstreams,
  targets,
  { ...pluginEntity, subschemas: pluginSchemas },
  tags,
  ca_certificates,
  clustering_data_planes,
  parameters,
  { ...vaults, subschemas: vaultSchemas },
  key_sets,
  keys,
  filter_chains,
  ...plugins.flatMap(({ entities }) => entities),
]

type KindNamed = (name: string) => Schema

/** Foreign fields learn the schema that they refer to, so that references can be checked. */
function tied(schema: Schema, kindNamed: KindNamed): Schema {
  if (!schema.subschemas) return { ...schema, fields: tiedFields(schema.fields, kindNamed) }
  const subschemas = new Map(
    [...schema.subschemas].map(([name, subschema]) => [name, tiedSubschema(subschema, kindNamed)]),
  )
  return { ...schema, fields: tiedFields(schema.fields, kindNamed), subschemas }
}

function tiedSubschema(subschema: Subschema, kindNamed: KindNamed): Subschema {
  return { ...subschema, fields: tiedFields(subschema.fields, kindNamed) }
}

function tiedFields(fields: Fields, kindNamed: KindNamed): Fields {
  return fields.map((entry) =>
    Object.fromEntries(Object.entries(entry).map(([name, field]) => [name, tiedField(field, kindNamed)])),
  )
}

function tiedField(field: Field, kindNamed: KindNamed): Field {
  const { reference } = field
  if (field.type !== 'foreign' || reference === undefined) return field
  return { ...field, $foreign: () => kindNamed(reference) }
}

/** Everything that this build knows, whatever may be used of it. */
export const { kinds, pluginSchemas } = catalogueOf(bundledPlugins)

/** What the store keeps: every kind, and those of our own that neither the Admin API nor declarative files know. */
export const storeKinds: ReadonlyMap<string, Schema> = new Map([
  ...kinds,
  [admin_tokens.name, admin_tokens],
  [keyrings.name, keyrings],
  [target_health.name, tied(target_health, (name) => kinds.get(name) ?? target_health)],
])
