/** Endpoints that plugins bring beside those that follow from their entities' schemas: `src/plugins/<name>/api.ts`. */
import { api as acl } from '../plugins/acl/api.ts'
import { api as jwt } from '../plugins/jwt/api.ts'
import type { EntityReader } from '../pdk/entities.ts'
import { entityReader } from '../store/entity-reader.ts'
import type { Store, Stored } from '../store/store.ts'
import { crudEndpoints } from './crud.ts'
import { find, isUuid, nameOf } from './entities.ts'
import type { Context, Endpoint, Handler, IssuerKeys, Method } from './types.ts'

export { isUuid }

/** What a plugin's endpoints work with. */
export interface Tools {
  /** The handler that follows from the schemas, for a plugin's own to go on with. */
  generated(path: string, method: Method): Handler
  /** The entity of this id or name. */
  find(kind: string, idOrName: string): Stored | undefined
  /** The entity with this value in a field, among those whose foreign field refers to `parent.id`. */
  findBelow(
    kind: string,
    parent: { readonly field: string; readonly id: string },
    field: string,
    value: string,
  ): Stored | undefined
  /** The configuration as plugins read it. */
  readonly entities: EntityReader
  /** All entities of a kind. */
  all(kind: string): Iterable<Stored>
  readonly issuerKeys: IssuerKeys
  /** For what follows from no schema. */
  readonly store: Pick<Store, 'reader' | 'write'>
}

export type PluginApi = (tools: Tools) => Endpoint[]

/** The plugins with endpoints of their own, by name. */
const apis: readonly (readonly [plugin: string, api: PluginApi])[] = [
  ['acl', acl],
  ['jwt', jwt],
]

/** All endpoints that the plugins in use bring. */
export function pluginEndpoints(context: Context): Endpoint[] {
  const generated = new Map(crudEndpoints(context).map((endpoint) => [endpoint.path, endpoint]))
  const schemaOf = (kind: string) => {
    const schema = context.kinds.get(kind)
    if (!schema) throw new TypeError(`no kind of entity is called ${kind}`)
    return schema
  }
  const tools: Tools = {
    generated(path, method) {
      const handler = generated.get(path)?.methods[method]
      if (!handler) throw new TypeError(`no endpoint follows from the schemas at ${method} ${path}`)
      return handler
    },
    find(kind, idOrName) {
      const schema = schemaOf(kind)
      const name = nameOf(schema, idOrName)
      return 'refusal' in name ? undefined : find(context, schema, name)
    },
    findBelow: (kind, parent, field, value) => find(context, schemaOf(kind), { field, value }, parent),
    entities: entityReader(context.store.reader),
    all: (kind) => context.store.reader.all(kind),
    issuerKeys: context.issuerKeys,
    store: context.store,
  }
  return apis.flatMap(([plugin, api]) => (context.pluginSchemas.has(plugin) ? api(tools) : []))
}
