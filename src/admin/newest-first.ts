import type { Schema } from '../schema/field.ts'
import type { Stored } from '../store/store.ts'
import { invalidOffset, ok, type Answer } from './answers.ts'
import type { Link } from './crud.ts'
import { entitiesBelow } from './entities.ts'
import { pageArguments } from './query.ts'
import type { AdminRequest, Context } from './types.ts'

/** A page of a nested collection with the youngest first, as Kong lists targets; here an offset is a count. */
export function listNewestFirst(
  context: Context,
  schema: Schema,
  { query }: AdminRequest,
  link: Link,
  path: string,
): Answer {
  const page = pageArguments(query, countOffset)
  if ('refusal' in page) return page.refusal
  const start = Number(page.request.offset ?? 0)
  const end = start + page.request.size
  const all = [...entitiesBelow(context, schema.name, link)].sort(byAge)
  const data = all.slice(start, end)
  if (all.length <= end) return ok({ data, next: null })
  return ok({ data, offset: String(end), next: `${path}?offset=${end}` })
}

const countOffset = (text: string): string | Answer =>
  /^\d{1,9}$/.test(text) ? text : invalidOffset(text, 'not a number')

function byAge(one: Stored, other: Stored): number {
  const age = Number(other['created_at']) - Number(one['created_at'])
  return age === 0 ? (one.id < other.id ? 1 : -1) : age
}
