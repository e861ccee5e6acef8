import { message, ok, type Answer } from '../answers.ts'
import { insert, list } from '../crud.ts'
import type { AdminRequest, Context, Endpoint } from '../types.ts'
import type { Schema } from '../../schema/field.ts'

/** `GET /consumers?custom_id=` finds a consumer by what an application calls it. */
export function consumerEndpoints(context: Context): Endpoint[] {
  const schema = context.kinds.get('consumers')
  if (!schema) return []
  return [
    {
      path: '/consumers',
      methods: {
        GET: (request) => listConsumers(context, schema, request),
        POST: (request) => insert(context, schema, request),
      },
    },
  ]
}

function listConsumers(context: Context, schema: Schema, request: AdminRequest): Answer {
  const [customId, another] = request.query.getAll('custom_id')
  if (customId === undefined) return list(context, schema, request)
  if (customId === '' || another !== undefined) return message(400, 'custom_id must be an unempty string')
  const found = context.store.reader.by('consumers', 'custom_id', customId)
  return ok({ data: found ? [found] : [], next: null })
}
