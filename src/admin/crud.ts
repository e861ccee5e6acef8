import { randomUUID } from 'node:crypto'
import { checkInsert, checkUpdate, checkUpsert, isTtl, transformed, ttlError } from '../schema/check.ts'
import { withFormerFields } from '../schema/fill.ts'
import type { Schema } from '../schema/field.ts'
import type { Operation, Page, PageRequest, Stored, StoreError } from '../store/store.ts'
import {
  absent,
  created,
  fieldOf,
  invalidOption,
  methodNotAllowed,
  noContent,
  notFound,
  ok,
  schemaViolation,
  storeRefusal,
  unsupported,
  type Answer,
} from './answers.ts'
import { beforeRemoval, besideWrite, type Beside } from './customs.ts'
import { find, foreignFields, isUuid, nameOf, referenceId, resolveNames, type Foreign, type Named } from './entities.ts'
import { inferForm } from './form.ts'
import { encodedOffset, encodeOffset, pageArguments } from './query.ts'
import type { AdminRequest, Context, Endpoint, Handler } from './types.ts'

/** A link that the path lays down: the foreign field and the id that it must hold. */
export interface Link {
  readonly field: string
  readonly id: string
}

/** A change of one entity that met another's: it is read and tried again, more often than any real client collides. */
const MAX_TRIES = 100

/** Every endpoint that follows from the schemas: each kind's collection and entities, and those below each foreign field. */
export function crudEndpoints(context: Context): Endpoint[] {
  const schemas = [...context.kinds.values()].filter((schema) => schema.generate_admin_api !== false)
  return schemas.flatMap((schema) => [
    ...topEndpoints(context, schema),
    ...foreignFields(schema).flatMap((foreign) => foreignEndpoints(context, schema, foreign)),
  ])
}

/** A kind's collection in the Admin API, such as `/jwts`. */
const collectionPath = (schema: Schema): string => `/${schema.admin_api_name ?? schema.name}`

/** The mark of endpoints that Kong has not. */
const ownOf = ({ $own }: Schema) => $own && { own: $own }

function topEndpoints(context: Context, schema: Schema): Endpoint[] {
  const path = collectionPath(schema)
  const parameter = schema.name
  const own = ownOf(schema)
  return [
    {
      path,
      ...own,
      methods: {
        GET: (request) => list(context, schema, request),
        POST: (request) => insert(context, schema, request),
      },
    },
    {
      path: `${path}/{${parameter}}`,
      ...own,
      methods: {
        GET: (request) => named(schema, request, (name) => read(context, schema, name)),
        PUT: (request) => named(schema, request, (name) => upsert(context, schema, request, name)),
        PATCH: (request) => named(schema, request, (name) => patch(context, schema, request, name)),
        DELETE: (request) => named(schema, request, (name) => remove(context, schema, name)),
      },
    },
  ]
}

/** The endpoints on both ends of a foreign field: the parent's children, and the child's parent. */
function foreignEndpoints(context: Context, schema: Schema, foreign: Foreign): Endpoint[] {
  const parent = context.kinds.get(foreign.kind)
  if (!parent || parent.generate_admin_api === false) return []
  const children = `${collectionPath(parent)}/{${parent.name}}/${schema.admin_api_nested_name ?? schema.name}`
  const below =
    (handle: (request: AdminRequest, link: Link) => Answer | Promise<Answer>): Handler =>
    (request) =>
      linked(context, parent, foreign.name, request, (link) => handle(request, link))
  const own = ownOf(schema)
  return [
    {
      path: children,
      ...own,
      methods: {
        GET: below((request, link) => list(context, schema, request, link, nestedPath(parent, schema, request))),
        POST: below((request, link) => insert(context, schema, request, link)),
      },
    },
    {
      path: `${children}/{${schema.name}}`,
      ...own,
      methods: {
        GET: below((request, link) => named(schema, request, (name) => read(context, schema, name, link))),
        PUT: below((request, link) => named(schema, request, (name) => upsert(context, schema, request, name, link))),
        PATCH: below((request, link) => named(schema, request, (name) => patch(context, schema, request, name, link))),
        DELETE: below((request, link) => named(schema, request, (name) => remove(context, schema, name, link))),
      },
    },
    parentEndpoint(context, schema, foreign.name, parent),
  ]
}

const nestedPath = (parent: Schema, schema: Schema, { params }: AdminRequest): string =>
  `${collectionPath(parent)}/${encodeURIComponent(params[parent.name] ?? '')}/${schema.admin_api_nested_name ?? schema.name}`

/** `/routes/{routes}/service`: the entity that a foreign field refers to, read and written through its bearer. */
function parentEndpoint(context: Context, schema: Schema, field: string, parent: Schema): Endpoint {
  const through =
    (handle: (request: AdminRequest, child: Stored, id: string | undefined) => Answer | Promise<Answer>): Handler =>
    (request) =>
      named(schema, request, (name) => {
        const child = find(context, schema, name)
        return child ? handle(request, child, referenceId(child[field])) : notFound
      })
  return {
    path: `${collectionPath(schema)}/{${schema.name}}/${field}`,
    ...ownOf(schema),
    methods: {
      GET: through((_, __, id) => (id === undefined ? notFound : read(context, parent, { field: 'id', value: id }))),
      PUT: through((request, child, id) => upsertParent(context, schema, field, parent, request, child, id)),
      PATCH: through((request, _, id) =>
        id === undefined ? notFound : patch(context, parent, request, { field: 'id', value: id }),
      ),
      DELETE: through((_, __, id) => (id === undefined ? notFound : methodNotAllowed)),
    },
  }
}

/** Reads the path's name for an entity and goes on with it. */
export function named(
  schema: Schema,
  { params }: AdminRequest,
  next: (name: Named) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  const name = nameOf(schema, params[schema.name] ?? '')
  return 'refusal' in name ? name.refusal : next(name)
}

/** Finds the parent that a nested path names and goes on with the link to it. */
export function linked(
  context: Context,
  parent: Schema,
  field: string,
  request: AdminRequest,
  next: (link: Link) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  return named(parent, request, (name) => {
    const found = find(context, parent, name)
    return found ? next({ field, id: found.id }) : notFound
  })
}

/** A page of a collection. Nested collections' `next` carries the offset alone, as Kong's do. */
export function list(context: Context, schema: Schema, request: AdminRequest, link?: Link, nested?: string): Answer {
  const page = pageArguments(request.query, encodedOffset(isUuid))
  if ('refusal' in page) return refusedPage(context, page.refusal)
  const { entities: found, offset } = pageOf(context, schema, page.request, link)
  const entities = found.map((entity) => told(context, schema, entity))
  if (offset === undefined) return ok({ data: entities, next: null })
  const encoded = encodeOffset(offset)
  const next = `${nested ?? collectionPath(schema)}?offset=${encoded}${nested === undefined ? pageQuery(request.query) : ''}`
  return ok({ data: entities, offset: encoded, next })
}

/**
 * Nested collections take no notice of tags, as in Kong. Without a database Kong cuts the pages first and then leaves out
 * what does not have the tags, so that clients see pages with fewer entities than they asked for, and `next` behind them.
 */
function pageOf({ store, writable }: Context, { name }: Schema, { tags, ...request }: PageRequest, link?: Link): Page {
  if (link) return store.reader.page(name, { ...request, link })
  if (writable || !tags) return store.reader.page(name, { ...request, ...(tags && { tags }) })
  const page = store.reader.page(name, request)
  return { ...page, entities: page.entities.filter((entity) => hasTags(entity['tags'], tags)) }
}

function hasTags(borne: unknown, { names, match }: NonNullable<PageRequest['tags']>): boolean {
  if (!Array.isArray(borne)) return false
  return match === 'all' ? names.every((name) => borne.includes(name)) : names.some((name) => borne.includes(name))
}

/** Without a database Kong takes any offset that is base64, and finds nothing behind those that it does not know. */
export function refusedPage({ writable }: Context, refusal: Answer): Answer {
  const { code, message: text } = refusal.body as { code?: number; message?: string }
  return code === 7 && !writable && !text?.endsWith('base64 encoding') ? ok({ data: [], next: null }) : refusal
}

/** The arguments that a top-level `next` repeats, in Kong's order. */
export function pageQuery(query: URLSearchParams): string {
  const given = ['tags', 'size'].flatMap((name) => {
    const value = query.get(name)
    return value === null ? [] : [`&${name}=${encodeURIComponent(value)}`]
  })
  return given.join('')
}

/** An entity as Kong tells it, and its time to live: in whole seconds that are left; without a database not at all where there is none. */
function told({ writable }: Context, schema: Schema, entity: Stored): Stored {
  if (!schema.ttl) return withFormerFields(schema, entity)
  const { ttl, ...rest } = entity
  // The store counts the second that has begun.
  if (typeof ttl === 'number') return { ...entity, ttl: Math.max(0, ttl - 1) }
  return writable ? entity : rest
}

export function read(context: Context, schema: Schema, name: Named, link?: Link): Answer {
  const found = find(context, schema, name, link)
  return found ? ok(told(context, schema, found)) : notFound
}

/** What no declarative file speaks of can be written where such a file is the source, too: it leaves that as it is. */
const isWritable = ({ writable }: Context, { db_export }: Schema): boolean => writable || db_export === false

/** POST: what the path links wins over the body. */
export async function insert(context: Context, schema: Schema, request: AdminRequest, link?: Link): Promise<Answer> {
  const input = inputOf(context, schema, request, undefined, link)
  if ('refusal' in input) return input.refusal
  const beside = besideWrite(context, schema.name, input.input)
  if ('refusal' in beside) return beside.refusal
  const checked = checkInsert(schema, input.input)
  if (!checked.ok) return schemaViolation(checked.errors)
  if (!isWritable(context, schema)) return unsupported(`cannot create '${schema.name}' entities`)
  const entity = transformed(schema, checked.value, input.input) as Stored
  const { operations, shown } = beside(entity)
  const written = await context.store.write([{ do: 'insert', kind: schema.name, entity }, ...operations])
  return written.ok ? created(asRead(context, schema, shown)) : storeRefusal(written.error)
}

/** PUT: replaces the entity of this name or creates it; the name in the path wins over the body's. */
export function upsert(
  context: Context,
  schema: Schema,
  request: AdminRequest,
  name: Named,
  link?: Link,
): Promise<Answer> {
  return retrying(
    context,
    async () => {
      const existing = find(
        context,
        schema,
        name,
        fieldOf(schema, name.field)?.unique ? undefined : nestedOnly(name, link),
      )
      const input = inputOf(context, schema, request, existing, link)
      if ('refusal' in input) return input
      const beside = besideWrite(context, schema.name, input.input, existing?.id)
      if ('refusal' in beside) return beside
      const id = existing?.id ?? (name.field === 'id' ? name.value : (idIn(input.input) ?? randomUUID()))
      const fixed = { ...(name.field !== 'id' && { [name.field]: name.value }), ...unlessWrong(input.input, id) }
      const checked = checkUpsert(schema, fixed, keepCreation(existing, input.input))
      if (!checked.ok) return { refusal: schemaViolation(checked.errors) }
      if (!isWritable(context, schema))
        return { refusal: unsupported(`cannot create or update '${schema.name}' entities${byField(name)}`) }
      const entity = transformed(schema, checked.value, input.input, existing) as Stored
      const isNewName = !existing && name.field !== 'id'
      return { entity, ...beside(entity), operation: isNewName ? 'insert' : 'upsert', claims: name }
    },
    schema,
  )
}

/** The id that a body gives, if it is one; what is written under a new name takes it. */
function idIn({ id }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof id === 'string' && isUuid(id) ? id.toLowerCase() : undefined
}

/** The id that an entity has or gets, whichever the body gives; one that is none is left there for the checks to find. */
const unlessWrong = (input: Readonly<Record<string, unknown>>, id: string): { readonly id?: string } =>
  Object.hasOwn(input, 'id') && idIn(input) === undefined ? {} : { id }

/** Names that are unique only below their parent are looked for there; ids are looked for everywhere, and so move. */
const nestedOnly = (name: Named, link?: Link): Link | undefined => (name.field === 'id' ? undefined : link)

/** PATCH: merges the body into the entity, atomically: what others write meanwhile is read again, never lost. */
export function patch(
  context: Context,
  schema: Schema,
  request: AdminRequest,
  name: Named,
  link?: Link,
): Promise<Answer> {
  return retrying(
    context,
    async () => {
      const existing = find(context, schema, name, link)
      if (!existing)
        return { refusal: link || isUnnamedPlugin(schema, request) ? notFound : absent(name.field, name.value) }
      const input = inputOf(context, schema, request, existing)
      if ('refusal' in input) return input
      // The body may move the entity below another parent; where it names none, it is as if it named the path's.
      if (link && !Object.hasOwn(input.input, link.field)) input.input[link.field] = { id: link.id }
      const beside = besideWrite(context, schema.name, input.input, existing.id, existing)
      if ('refusal' in beside) return beside
      const checked = checkUpdate(schema, existing, { ...input.input, ...unlessWrong(input.input, existing.id) })
      if (!checked.ok) return { refusal: schemaViolation(checked.errors) }
      if (!isWritable(context, schema))
        return { refusal: unsupported(`cannot update '${schema.name}' entities${byField(name)}`) }
      const entity = transformed(schema, checked.value, input.input, existing) as Stored
      return { entity, ...beside(entity), operation: 'update', expected: existing }
    },
    schema,
  )
}

/** Kong reads a plugin first where the body does not say which one it is, and then answers as to a GET. */
const isUnnamedPlugin = (schema: Schema, { body }: AdminRequest): boolean =>
  schema.name === 'plugins' && (body.value['name'] ?? null) === null

/** DELETE: at the top level what is not there counts as deleted; below a parent it is a 404. */
export async function remove(
  context: Context,
  schema: Schema,
  name: Named,
  link?: Link,
  triesLeft = MAX_TRIES,
  since = performance.now(),
): Promise<Answer> {
  const found = find(context, schema, name, link)
  if (!found && (link || name.field !== 'id')) return link ? notFound : noContent
  const before = beforeRemoval(context, schema.name, found?.id ?? name.value)
  if ('refusal' in before) return before.refusal
  if (!found) return noContent
  if (!isWritable(context, schema))
    return unsupported(`cannot remove '${schema.name}' entities${byField(name, schema)}`)
  const removal = { do: 'delete', kind: schema.name, id: found.id } as const
  const written = await context.store.write([...before.operations, removal], since)
  if (written.ok) return noContent
  if (written.error.code !== 'absent') return storeRefusal(written.error)
  if (written.error.kind === schema.name) return link ? notFound : noContent
  // What was to go with it went by itself meanwhile.
  if (triesLeft <= 1) return storeRefusal(written.error)
  context.store.reader.renew()
  return remove(context, schema, name, link, triesLeft - 1, since)
}

/** PUT on `/routes/{routes}/service`: writes the entity referred to; where there is none, makes one and refers to it. */
function upsertParent(
  context: Context,
  schema: Schema,
  field: string,
  parent: Schema,
  request: AdminRequest,
  child: Stored,
  id: string | undefined,
): Answer | Promise<Answer> {
  if (id !== undefined) return upsert(context, parent, request, { field: 'id', value: id })
  return insertParent(context, schema, field, parent, request, child)
}

async function insertParent(
  context: Context,
  schema: Schema,
  field: string,
  parent: Schema,
  request: AdminRequest,
  child: Stored,
): Promise<Answer> {
  const input = inputOf(context, parent, request)
  if ('refusal' in input) return input.refusal
  const beside = besideWrite(context, parent.name, input.input)
  if ('refusal' in beside) return beside.refusal
  const checked = checkInsert(parent, input.input)
  if (!checked.ok) return schemaViolation(checked.errors)
  if (!context.writable) return unsupported(`cannot create or update '${parent.name}' entities`)
  const entity = transformed(parent, checked.value, input.input) as Stored
  const referring = checkUpdate(schema, child, { [field]: { id: entity.id } })
  if (!referring.ok) return schemaViolation(referring.errors)
  const { operations, shown } = beside(entity)
  const written = await context.store.write([
    { do: 'insert', kind: parent.name, entity },
    { do: 'update', kind: schema.name, entity: referring.value as Stored, expected: child },
    ...operations,
  ])
  return written.ok ? ok(shown) : storeRefusal(written.error)
}

type Attempt =
  | { readonly refusal: Answer }
  | (Beside & { readonly entity: Stored; readonly operation: 'update'; readonly expected: Stored })
  /** `claims`: the unique name that the entity is written under, which another writer may take first. */
  | (Beside & { readonly entity: Stored; readonly operation: 'insert' | 'upsert'; readonly claims: Named })

/** Reads, decides and writes, and begins again where another writer came between. */
async function retrying(context: Context, attempt: () => Promise<Attempt>, schema: Schema): Promise<Answer> {
  const since = performance.now()
  for (let triesLeft = MAX_TRIES; ; triesLeft--) {
    const change = await attempt()
    if ('refusal' in change) return change.refusal
    const written = await context.store.write([operationOf(schema.name, change), ...change.operations], since)
    if (written.ok) return ok(asRead(context, schema, change.shown))
    if (triesLeft <= 1 || !isOvertaken(written.error, change)) return storeRefusal(written.error)
    context.store.reader.renew()
  }
}

/** What was written, as a reader tells it: of a time to live what is left. */
function asRead(context: Context, schema: Schema, entity: Stored): Stored {
  if (!schema.ttl || typeof entity['ttl'] !== 'number') return told(context, schema, entity)
  const { reader } = context.store
  reader.renew()
  return told(context, schema, reader.get(schema.name, entity.id) ?? entity)
}

const operationOf = (kind: string, change: Exclude<Attempt, { refusal: Answer }>): Operation =>
  change.operation === 'update'
    ? { do: 'update', kind, entity: change.entity, expected: change.expected }
    : { do: change.operation, kind, entity: change.entity }

/** Whether a write failed only because of another one since the entity was read. */
function isOvertaken(error: StoreError, change: Exclude<Attempt, { refusal: Answer }>): boolean {
  if (change.operation === 'update') return error.code === 'conflict' || error.code === 'absent'
  const { field } = change.claims
  return error.code === 'unique' && field !== 'id' && Object.hasOwn(error.fields, field)
}

/** A request's body as the checks take it: forms with types, names turned into ids, the path's link laid over it. */
function inputOf(
  context: Context,
  schema: Schema,
  { body }: AdminRequest,
  existing?: Stored,
  link?: Link,
): ReturnType<typeof resolveNames> {
  const sent = body.kind === 'form' ? inferForm(schema, body.value, existing) : body.value
  const value = { ...sent, ...(link && { [link.field]: { id: link.id } }) }
  // An id of null is one to be made up, like one that is not there.
  if (value['id'] === null) delete value['id']
  inSmallLetters(schema, value)
  if (schema.ttl && value['ttl'] !== undefined && !isTtl(value['ttl']))
    return { refusal: invalidOption('ttl', ttlError) }
  return resolveNames(context, schema, value)
}

/** Ids are told in small letters, however they are written (RFC 9562, 4), and found by them. */
function inSmallLetters(schema: Schema, value: Record<string, unknown>): void {
  const own = idIn(value)
  if (own !== undefined) value['id'] = own
  for (const { name } of foreignFields(schema)) {
    const id = referenceId(value[name])
    if (id !== undefined && isUuid(id)) value[name] = { ...(value[name] as object), id: id.toLowerCase() }
  }
}

/** Replacing an entity does not make it younger; a client that sends the time along is believed. */
const keepCreation = (existing: Stored | undefined, input: Record<string, unknown>): Record<string, unknown> =>
  existing && !Object.hasOwn(input, 'created_at') ? { ...input, created_at: existing['created_at'] } : input

const byField = ({ field }: Named, schema?: Schema): string =>
  field === 'id' || (schema && !fieldOf(schema, field)?.unique) ? '' : ` by '${field}'`
