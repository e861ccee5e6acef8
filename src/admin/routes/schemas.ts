import { checkOnly } from '../../schema/check.ts'
import type { Schema, Subschema } from '../../schema/field.ts'
import { serveConfig, serveEntity, serveSubschema, type ServedSchema } from '../../schema/serve.ts'
import { message, ok, schemaViolation, type Answer } from '../answers.ts'
import type { AdminRequest, Context, Endpoint } from '../types.ts'

const valid = ok({ message: 'schema validation successful' })

/** What entities and plugins look like, and whether a given one would be accepted. */
export function schemaEndpoints(context: Context): Endpoint[] {
  const { kinds, pluginSchemas } = context
  const validate = (kind: string, request: AdminRequest): Answer => {
    const schema = kinds.get(kind)
    if (!schema) return noEntity(kind)
    const checked = checkOnly(schema, request.body.value)
    return checked.ok ? valid : schemaViolation(checked.errors)
  }
  return [
    { path: '/schemas/{name}', methods: { GET: ({ params }) => served(kinds, params['name'], 'entity', serveEntity) } },
    {
      path: '/schemas/{db_entity_name}/validate',
      methods: { POST: (request) => validate(request.params['db_entity_name'] ?? '', request) },
      onlyReads: true,
    },
    {
      path: '/schemas/plugins/{name}',
      methods: { GET: ({ params }) => served(pluginSchemas, params['name'], 'plugin', serveSubschema) },
    },
    {
      path: '/schemas/plugins/validate',
      methods: { POST: (request) => validate('plugins', request) },
      onlyReads: true,
    },
    {
      path: '/schemas/vaults/{name}',
      methods: { GET: ({ params }) => served(vaultsOf(kinds), params['name'], 'vault', serveSubschema) },
    },
    {
      path: '/schemas/vaults/validate',
      methods: { POST: (request) => validate('vaults', request) },
      onlyReads: true,
    },
    { path: '/plugins/enabled', methods: { GET: () => ok({ enabled_plugins: [...pluginSchemas.keys()] }) } },
    {
      path: '/plugins/schema/{name}',
      methods: { GET: ({ params }) => served(pluginSchemas, params['name'], 'plugin', serveConfig) },
    },
  ]
}

const noEntity = (name: string): Answer => message(404, `No entity named '${name}'`)

/** A schema in the form that Kong serves, found by name. */
function served<S>(
  schemas: ReadonlyMap<string, S>,
  name = '',
  word: 'entity' | 'plugin' | 'vault',
  serve: (schema: S) => ServedSchema,
): Answer {
  const schema = schemas.get(name)
  return schema ? ok(serve(schema)) : message(404, `No ${word} named '${name}'`)
}

const vaultsOf = (kinds: ReadonlyMap<string, Schema>): ReadonlyMap<string, Subschema> =>
  kinds.get('vaults')?.subschemas ?? new Map()
