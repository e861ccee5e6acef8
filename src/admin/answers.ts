import { type ErrorTree, errorMessage, luaTable } from '../schema/errors.ts'
import type { Field, Schema } from '../schema/field.ts'
import type { StoreError } from '../store/store.ts'

const luaText = (fields: Fields): string => luaTable({ ...fields }, 'line')

/** What an endpoint gives back: `body` is sent as JSON, `page` as HTML, `text` as the headers say, none of them sends nothing. */
export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly page?: string
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const ok = (body: unknown): Answer => ({ status: 200, body })
export const created = (body: unknown): Answer => ({ status: 201, body })
export const noContent: Answer = { status: 204 }
export const message = (status: number, text: string): Answer => ({ status, body: { message: text } })
export const notFound = message(404, 'Not found')
export const methodNotAllowed = message(405, 'Method not allowed')
export const unexpected = message(500, 'An unexpected error occurred')
export const cannotParseJson = message(400, 'Cannot parse JSON body')
export const tooManyArguments = message(400, 'Too many arguments')
const unavailable = (text: string): Answer => ({ ...message(503, text), headers: { 'Retry-After': '5' } })

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Time-out',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
}

/** The bare HTML page that Kong's HTTP server answers with before its Admin API sees the request. */
export function htmlPage(status: keyof typeof REASONS): Answer {
  const title = `${status} ${REASONS[status]}`
  return {
    status,
    page: `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`,
  }
}

type Fields = Readonly<Record<string, unknown>>

/** An error as Kong's database layer words it: a number, a name, a message, and mostly the fields it is about. */
const coded = (status: number, code: number, name: string, text: string, fields?: Fields): Answer => ({
  status,
  body: { code, name, message: text, ...(fields && { fields }) },
})

export const schemaViolation = (errors: ErrorTree): Answer =>
  coded(400, 2, 'schema violation', errorMessage(errors), errors)

export const invalidPrimaryKey = (fields: Fields): Answer =>
  coded(400, 1, 'invalid primary key', `invalid primary key: '${luaText(fields)}'`, fields)

export const invalidOffset = (offset: string, why: string): Answer =>
  coded(400, 7, 'invalid offset', `'${offset}' is not a valid offset: ${why}`)

export const invalidSize = (why: string): Answer => coded(400, 9, 'invalid size', why)

export const invalidUnique = (field: string, why: string): Answer => coded(400, 10, `invalid unique ${field}`, why)

export const invalidOption = (option: string, why: string): Answer => ({
  status: 400,
  body: {
    code: 11,
    name: 'invalid options',
    message: `invalid option (${option}: ${why})`,
    options: { [option]: why },
  },
})

/** A write where the configuration comes from a file: `what` is such as `cannot create 'services' entities`. */
export const unsupported = (what: string): Answer =>
  coded(405, 12, 'operation unsupported', `${what} when not using a database`)

/** A removal of what others still name. */
export const referencedByOthers = (text: string): Answer => coded(400, 19, 'referenced by others', text)

/** References by name that name nobody: `errors` holds the texts by foreign field and the name's field. */
export function unresolved(errors: Readonly<Record<string, Readonly<Record<string, string>>>>): Answer {
  const texts = Object.entries(errors).flatMap(([foreign, tree]) =>
    Object.entries(tree).map(([field, text]) => `${foreign}.${field}: ${text}`),
  )
  const count = texts.length === 1 ? 'foreign key unresolved' : `${texts.length} foreign keys unresolved`
  return coded(400, 13, 'foreign keys unresolved', `${count} (${texts.sort().join('; ')})`, errors)
}

/** A PATCH of what is not there; `field` is what the path named it by. */
export function absent(field: string, value: string): Answer {
  const key = luaText({ [field]: value })
  const text = `could not find the entity with ${field === 'id' ? 'primary key ' : ''}'${key}'`
  return coded(404, 6, 'not found', text, { [field]: value })
}

/** What a client is told of a write that the store refused. */
export function storeRefusal(error: StoreError): Answer {
  return refusals[error.code](error as never)
}

type Refusal<Code extends StoreError['code']> = (error: Extract<StoreError, { code: Code }>) => Answer

const refusals: { readonly [Code in StoreError['code']]: Refusal<Code> } = {
  primary: ({ id }) =>
    coded(400, 3, 'primary key violation', `primary key violation on key '${luaText({ id })}'`, { id }),
  unique: ({ fields }) =>
    coded(409, 5, 'unique constraint violation', `UNIQUE violation detected on '${luaText(fields)}'`, fields),
  foreign: ({ field, kind, id }) =>
    coded(
      400,
      4,
      'foreign key violation',
      `the foreign key '${luaText({ id })}' does not reference an existing '${kind}' entity.`,
      { [field]: { id } },
    ),
  referenced: ({ kind, by }) =>
    coded(400, 4, 'foreign key violation', `an existing '${by}' entity references this '${kind}' entity`, {
      '@referenced_by': by,
    }),
  absent: ({ id }) => absent('id', id),
  conflict: () => message(409, 'the entity keeps being changed by others; try again'),
  unavailable: ({ unsure }) =>
    unavailable(`the store is not available${unsure ? '; whether this was written is not known' : ''}`),
}

/** The field of this name, if the schema has it. */
export function fieldOf(schema: Schema, name: string): Field | undefined {
  return schema.fields.find((entry) => Object.hasOwn(entry, name))?.[name]
}
