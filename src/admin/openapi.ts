/** The Admin API's description of itself, made from the schemas and the endpoints: OpenAPI 3.1. */
import type { Schema, Subschema } from '../schema/field.ts'
import { fieldSchema, jsonSchemaOf, type JsonSchema } from '../schema/json-schema.ts'
import { fieldOf } from './answers.ts'
import type { Context, Endpoint, Method } from './types.ts'

/** The document that `GET /openapi.json` answers; `version` is Gibbon's. */
export function openApiDocument(context: Context, endpoints: readonly Endpoint[], version: string): JsonSchema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gibbon Admin API',
      version,
      summary: "Kong Gateway 3.10's Admin API, as Gibbon serves it.",
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    paths: Object.fromEntries(endpoints.map((endpoint) => [endpoint.path, pathItem(context, endpoint)])),
    components: { schemas: { ...entitySchemas(context), ...commonSchemas }, responses },
  }
}

const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

/** What a path is about: entities of a kind, one or many. */
interface Subject {
  readonly schema: Schema
  readonly isCollection: boolean
}

function pathItem(context: Context, endpoint: Endpoint): JsonSchema {
  const parameters = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    description: parameterText(context, name),
    schema: { type: 'string' },
  }))
  const subject = subjectOf(context, endpoint.path)
  const operations = Object.keys(endpoint.methods).map((method) => [
    method.toLowerCase(),
    operation(endpoint, method as Method, subject),
  ])
  return { ...(parameters.length > 0 && { parameters }), ...Object.fromEntries(operations) }
}

function parameterText({ kinds }: Context, name: string): string {
  const schema = kinds.get(name)
  if (!schema) return `A ${name.replaceAll('_', ' ')}.`
  return schema.endpoint_key === undefined ? 'The id.' : `The id or the ${schema.endpoint_key}.`
}

/** The last part of a path names the kind: by its collection's name, by a parameter of its own, or by a foreign field. */
function subjectOf({ kinds }: Context, path: string): Subject | undefined {
  const parts = path.split('/').slice(1)
  const last = parts.at(-1) ?? ''
  const before = kinds.get((parts.at(-2) ?? '').replace(/^\{(\w+)\}$/, '$1'))
  const named = last.startsWith('{') ? kinds.get(last.slice(1, -1)) : undefined
  // A tag is no entity: its path lists what bears it.
  if (named) return { schema: named, isCollection: named.name === 'tags' }
  const referred = before && kinds.get(fieldOf(before, last)?.reference ?? '')
  if (referred && parts.length === 3) return { schema: referred, isCollection: false }
  const isOf = (schema: Schema): boolean => collectionNames(schema, parts.length > 1).includes(last)
  const listed = parts.length === 1 || before ? [...kinds.values()].find(isOf) : undefined
  return listed && { schema: listed, isCollection: true }
}

const collectionNames = (schema: Schema, isNested: boolean): readonly string[] => [
  (isNested ? schema.admin_api_nested_name : undefined) ?? schema.admin_api_name ?? schema.name,
]

function operation({ path, options }: Endpoint, method: Method, subject: Subject | undefined): JsonSchema {
  const known = options === undefined ? subject : undefined
  const isPage = known?.isCollection === true && method === 'GET'
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[{}]/g, '').replaceAll(/[^A-Za-z0-9]+/g, '_')}`,
    summary: summaries[path]?.[method] ?? summaryOf(method, known),
    ...(isPage && { parameters: pageParameters }),
    ...(hasBody.has(method) && { requestBody: requestBody(method, known) }),
    responses: { ...successes(method, known), ...failures(method) },
  }
}

const hasBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

const verbs: Readonly<Record<Method, string>> = {
  GET: 'Read',
  POST: 'Create',
  PUT: 'Create or replace',
  PATCH: 'Change',
  DELETE: 'Delete',
}

function summaryOf(method: Method, subject: Subject | undefined): string {
  if (!subject) return `${verbs[method]} what the path names.`
  if (subject.isCollection) return `${method === 'GET' ? 'List' : 'Create one of the'} ${subject.schema.name}.`
  return `${verbs[method]} one of the ${subject.schema.name}.`
}

/** What the paths that follow from no schema do. */
const summaries: Readonly<Record<string, { readonly [M in Method]?: string }>> = {
  '/': { GET: 'The node: its version, its settings and its plugins.' },
  '/status': { GET: 'Connections, memory, and where the configuration comes from.' },
  '/timers': { GET: 'The timers of the node.' },
  '/jwt-revocations/changes': {
    GET: "What was taken back and given back after the revision `since`; Gibbon's own.",
  },
  '/traffic': { GET: "What the node has counted of requests, by route and by upstream's target; Gibbon's own." },
  '/endpoints': { GET: 'Every path.' },
  '/config': { GET: 'The whole configuration, without a database.', POST: 'Replace the whole configuration.' },
  '/cache': { DELETE: 'Empty the cache.' },
  '/cache/{key}': { GET: 'Read a cached value.', DELETE: 'Drop a cached value.' },
  '/debug/node/log-level': { GET: 'The level of the log.' },
  '/debug/node/log-level/{log_level}': { PUT: 'Change the level of the log for a while.' },
  '/debug/cluster/log-level/{log_level}': { PUT: 'Change the level of the log for a while.' },
  '/plugins/enabled': { GET: 'The names of all plugins.' },
  '/plugins/schema/{name}': { GET: "A plugin's config." },
  '/schemas/{name}': { GET: 'How an entity is declared.' },
  '/schemas/plugins/{name}': { GET: 'How a plugin is declared.' },
  '/schemas/vaults/{name}': { GET: 'How a vault is declared.' },
  '/schemas/{db_entity_name}/validate': { POST: 'Check an entity without writing it.' },
  '/schemas/plugins/validate': { POST: 'Check a plugin without writing it.' },
  '/schemas/vaults/validate': { POST: 'Check a vault without writing it.' },
  '/upstreams/{upstreams}/health': { GET: "The health of an upstream's targets." },
  '/upstreams/{upstreams}/targets/all': { GET: 'List all targets of an upstream.' },
  '/upstreams/{upstreams}/targets/{targets}/healthy': { PUT: 'Take a target for healthy.' },
  '/upstreams/{upstreams}/targets/{targets}/unhealthy': { PUT: 'Take a target for unhealthy.' },
  '/upstreams/{upstreams}/targets/{targets}/{address}/healthy': {
    PUT: "Take one of a target's addresses for healthy.",
  },
  '/upstreams/{upstreams}/targets/{targets}/{address}/unhealthy': {
    PUT: "Take one of a target's addresses for unhealthy.",
  },
}

const pageParameters = [
  {
    name: 'size',
    in: 'query',
    description: 'How many entities a page holds.',
    schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
  },
  { name: 'offset', in: 'query', description: 'The `offset` of the page before.', schema: { type: 'string' } },
  {
    name: 'tags',
    in: 'query',
    description: '`a,b` for entities with all of these tags, `a/b` for those with any.',
    schema: { type: 'string' },
  },
]

function requestBody(method: Method, subject: Subject | undefined): JsonSchema {
  const schema = subject
    ? ref(`${subject.schema.name}.${method === 'PATCH' ? 'change' : 'new'}`)
    : ({ type: 'object' } satisfies JsonSchema)
  const media = { schema }
  return {
    content: {
      'application/json': media,
      'application/x-www-form-urlencoded': media,
      'multipart/form-data': media,
    },
  }
}

const json = (description: string, schema: JsonSchema): JsonSchema => ({
  description,
  content: { 'application/json': { schema } },
})

function successes(method: Method, subject: Subject | undefined): JsonSchema {
  if (method === 'DELETE') return { 204: { description: 'It is gone.' } }
  if (!subject) return { '2XX': json('As asked.', { type: 'object' }) }
  const { schema, isCollection } = subject
  if (method === 'POST') return { 201: json('The entity.', ref(schema.name)) }
  return { 200: isCollection ? json('A page of entities.', pageOf(schema)) : json('The entity.', ref(schema.name)) }
}

const pageOf = (schema: Schema): JsonSchema => ({
  type: 'object',
  properties: {
    data: { type: 'array', items: ref(schema.name) },
    next: { type: ['string', 'null'], description: 'The path of the next page.' },
    offset: { type: 'string', description: 'What the next page is asked for with.' },
  },
  required: ['data', 'next'],
})

function failures(method: Method): JsonSchema {
  const statuses = ['400', '404', '405', ...(hasBody.has(method) ? ['409', '415'] : []), '503']
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${status}` }]))
}

const responses: JsonSchema = {
  400: json('What was sent is wrong, or cannot be done.', ref('Error')),
  404: json('There is no such entity or path.', ref('Error')),
  405: json('The path does not have the method, or nothing can be written without a database.', ref('Error')),
  409: json('A unique value is taken.', ref('Error')),
  415: {
    description: 'The media type is none that is read.',
    content: { 'text/html': { schema: { type: 'string' } } },
  },
  503: json('The store cannot be reached.', ref('Error')),
}

const commonSchemas: Readonly<Record<string, JsonSchema>> = {
  Error: {
    type: 'object',
    properties: {
      message: { type: 'string' },
      name: { type: 'string', description: 'The kind of error, such as `schema violation`.' },
      code: { type: 'integer', description: 'The number of that kind.' },
      fields: { type: 'object', description: 'What is wrong with each field, nested like the input.' },
    },
    required: ['message'],
  },
}

/** Each kind as it is answered, made and changed; kinds that take others in, such as plugins, with each of these. */
function entitySchemas({ kinds }: Context): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(
    [...kinds.values()].flatMap((schema): [string, JsonSchema][] => [
      [schema.name, withKinds(schema, jsonSchemaOf(schema, 'answer'))],
      [`${schema.name}.new`, withKinds(schema, jsonSchemaOf(schema, 'new'))],
      [`${schema.name}.change`, jsonSchemaOf(schema, 'change')],
      ...[...configsOf(schema)].map(([name, config]): [string, JsonSchema] => [`${schema.name}.${name}`, config]),
    ]),
  )
}

/** The configs of a kind whose `config` depends on its name, by that name. */
function configsOf({ subschemas, fields }: Schema): ReadonlyMap<string, JsonSchema> {
  if (!fields.some((entry) => entry['config']?.abstract)) return new Map()
  return new Map([...(subschemas ?? [])].flatMap(([name, subschema]) => configOf(name, subschema)))
}

function configOf(name: string, { fields }: Subschema): [string, JsonSchema][] {
  const config = fields.find((entry) => entry['config'])?.['config']
  return config ? [[name, fieldSchema(config, 'new')]] : []
}

function withKinds(schema: Schema, described: JsonSchema): JsonSchema {
  const configs = configsOf(schema)
  if (configs.size === 0) return described
  const oneOf = [...configs.keys()].map((name) => ({
    properties: { name: { const: name }, config: ref(`${schema.name}.${name}`) },
  }))
  return { ...described, oneOf }
}
