import { invalidUnique, ok, schemaViolation, type Answer } from '../answers.ts'
import { wrongValue } from '../entities.ts'
import { pageQuery, refusedPage } from '../crud.ts'
import { encodedOffset, encodeOffset, pageArguments } from '../query.ts'
import type { AdminRequest, Context, Endpoint } from '../types.ts'

const readOnly = schemaViolation({ tags: 'does not support insert/upsert/update/delete operations' })

/** `/tags` and `/tags/{tags}`: which entities bear which tags. */
export function tagEndpoints(context: Context): Endpoint[] {
  return [
    { path: '/tags', methods: { GET: (request) => listTags(context, request), POST: () => readOnly } },
    {
      path: '/tags/{tags}',
      methods: {
        GET: (request) => oneTag(context, request),
        PUT: () => readOnly,
        PATCH: () => readOnly,
        DELETE: () => readOnly,
      },
    },
  ]
}

function oneTag(context: Context, request: AdminRequest): Answer {
  const tag = request.params['tags'] ?? ''
  const wrong = wrongTag(context, tag)
  return wrong === undefined ? listTags(context, request, tag) : invalidUnique('tag', wrong)
}

/** A tag is checked as it would be on an entity. */
function wrongTag({ kinds }: Context, tag: string): string | undefined {
  const bearer = kinds.get('consumers')
  const elements = bearer?.fields.find((entry) => Object.hasOwn(entry, 'tags'))?.['tags']?.elements
  return elements && wrongValue({ name: 'tags', fields: [{ tag: elements }] }, 'tag', tag)
}

function listTags(context: Context, request: AdminRequest, tag?: string): Answer {
  const page = pageArguments(
    request.query,
    encodedOffset(() => true),
  )
  if ('refusal' in page) return refusedPage(context, page.refusal)
  const { size, offset } = page.request
  const found = context.store.reader.tags({
    size,
    ...(offset !== undefined && { offset }),
    ...(tag !== undefined && { tag }),
  })
  const data = found.rows.map(({ tag, kind, id }) => ({ tag, entity_name: kind, entity_id: id }))
  if (found.offset === undefined) return ok({ data, next: null })
  const encoded = encodeOffset(found.offset)
  const next =
    tag === undefined
      ? `/tags?offset=${encoded}${pageQuery(request.query)}`
      : `/tags/${encodeURIComponent(tag)}?offset=${encoded}`
  return ok({ data, offset: encoded, next })
}
