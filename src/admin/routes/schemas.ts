import { checkOnly } from '../../schema/check.ts'
import type { Schema } from '../../schema/field.ts'
import { serveSchema } from '../../schema/serve.ts'
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
    { path: '/schemas/{name}', methods: { GET: ({ params }) => served(kinds, params['name'], 'entity') } },
    {
      path: '/schemas/{db_entity_name}/validate',
      methods: { POST: (request) => validate(request.params['db_entity_name'] ?? '', request) },
    },
    {
      path: '/schemas/plugins/{name}',
      methods: { GET: ({ params }) => served(pluginSchemas, params['name'], 'plugin') },
    },
    { path: '/schemas/plugins/validate', methods: { POST: (request) => validate('plugins', request) } },
    {
      path: '/schemas/vaults/{name}',
      methods: { GET: ({ params }) => served(vaultsOf(kinds), params['name'], 'vault') },
    },
    { path: '/schemas/vaults/validate', methods: { POST: (request) => validate('vaults', request) } },
    { path: '/plugins/enabled', methods: { GET: () => ok({ enabled_plugins: [...pluginSchemas.keys()] }) } },
    { path: '/plugins/schema/{name}', methods: { GET: ({ params }) => configOnly(pluginSchemas, params['name']) } },
  ]
}

const noEntity = (name: string): Answer => message(404, `No entity named '${name}'`)

function served(schemas: ReadonlyMap<string, Schema>, name = '', word: 'entity' | 'plugin' | 'vault'): Answer {
  const schema = schemas.get(name)
  return schema ? ok(serveSchema(schema)) : message(404, `No ${word} named '${name}'`)
}

/** The older form of a plugin's schema: the fields of its config alone. */
function configOnly(schemas: ReadonlyMap<string, Schema>, name = ''): Answer {
  const schema = schemas.get(name)
  const config = schema?.fields.find((entry) => Object.hasOwn(entry, 'config'))?.['config']
  if (!config) return message(404, `No plugin named '${name}'`)
  return ok(serveSchema({ name, fields: config.fields ?? [], entity_checks: config.entity_checks ?? [] }))
}

/** Each vault's schema is what the vaults' entity takes for its name. */
function vaultsOf(kinds: ReadonlyMap<string, Schema>): ReadonlyMap<string, Schema> {
  const subschemas = kinds.get('vaults')?.subschemas ?? new Map()
  return new Map([...subschemas].map(([name, subschema]) => [name, { name, ...subschema }]))
}
