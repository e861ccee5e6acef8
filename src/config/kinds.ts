/** Every kind of entity, with the plugins' and vaults' settings put in their places and references between kinds tied. */
import { admin_tokens } from '../entities/admin_tokens.ts'
import { ca_certificates } from '../entities/ca_certificates.ts'
import { certificates } from '../entities/certificates.ts'
import { clustering_data_planes } from '../entities/clustering_data_planes.ts'
import { consumers } from '../entities/consumers.ts'
import { filter_chains } from '../entities/filter_chains.ts'
import { key_sets } from '../entities/key_sets.ts'
import { keyrings } from '../entities/keyrings.ts'
import { keys } from '../entities/keys.ts'
import { parameters } from '../entities/parameters.ts'
import { plugins } from '../entities/plugins.ts'
import { routes } from '../entities/routes.ts'
import { services } from '../entities/services.ts'
import { snis } from '../entities/snis.ts'
import { tags } from '../entities/tags.ts'
import { targets } from '../entities/targets.ts'
import { upstreams } from '../entities/upstreams.ts'
import { vaults } from '../entities/vaults.ts'
import { workspaces } from '../entities/workspaces.ts'
import { bundledPlugins } from '../plugins/index.ts'
import type { Field, Fields, Schema, Subschema } from '../schema/field.ts'
import { bundledVaults } from '../vaults/index.ts'

/** The plugins' settings by the plugin's name. */
export const pluginSchemas: ReadonlyMap<string, Schema> = new Map(
  bundledPlugins.map(({ name, schema }) => [name, schema]),
)

/** The vaults' settings by the vault's name. */
export const vaultSchemas: ReadonlyMap<string, Schema> = new Map(bundledVaults.map((schema) => [schema.name, schema]))

const declared: readonly Schema[] = [
  workspaces,
  consumers,
  certificates,
  services,
  routes,
  snis,
  upstreams,
  targets,
  { ...plugins, subschemas: pluginSchemas },
  tags,
  ca_certificates,
  clustering_data_planes,
  parameters,
  { ...vaults, subschemas: vaultSchemas },
  key_sets,
  keys,
  filter_chains,
  ...bundledPlugins.flatMap(({ entities }) => entities),
]

/** Every kind by Kong's name for it, such as `services` or `jwt_secrets`. */
export const kinds: ReadonlyMap<string, Schema> = new Map(declared.map((schema) => [schema.name, tied(schema)]))

/** What the store keeps: every kind, and those of our own that neither the Admin API nor declarative files know. */
export const storeKinds: ReadonlyMap<string, Schema> = new Map([
  ...kinds,
  [admin_tokens.name, admin_tokens],
  [keyrings.name, keyrings],
])

/** Foreign fields learn the schema that they refer to, so that references can be checked. */
function tied(schema: Schema): Schema {
  if (!schema.subschemas) return { ...schema, fields: tiedFields(schema.fields) }
  const subschemas = new Map([...schema.subschemas].map(([name, subschema]) => [name, tiedSubschema(subschema)]))
  return { ...schema, fields: tiedFields(schema.fields), subschemas }
}

function tiedSubschema(subschema: Subschema): Subschema {
  return { ...subschema, fields: tiedFields(subschema.fields) }
}

function tiedFields(fields: Fields): Fields {
  return fields.map((entry) =>
    Object.fromEntries(Object.entries(entry).map(([name, field]) => [name, tiedField(field)])),
  )
}

function tiedField(field: Field): Field {
  const { reference } = field
  if (field.type !== 'foreign' || reference === undefined) return field
  return { ...field, $foreign: () => kindNamed(reference) }
}

function kindNamed(name: string): Schema {
  const schema = kinds.get(name)
  if (!schema) throw new Error(`no kind of entity is called ${name}`)
  return schema
}
