import { exportDeclarative } from '../../config/declarative-export.ts'
import {
  configHash,
  type Declaration,
  loadDeclarative,
  loadedHash,
  parseDeclarative,
  previousOf,
  type Refusal,
} from '../../config/declarative.ts'
import { created, message, ok, storeRefusal, type Answer } from '../answers.ts'
import type { AdminRequest, Body, Context, Endpoint } from '../types.ts'

const needsNoDatabase = message(400, 'this endpoint is only available when Kong is configured to not use a database')
const expectedConfiguration = message(400, 'expected a declarative configuration')

/** `/config`: the whole configuration at once, where it comes from no database. */
export function configEndpoints(context: Context): Endpoint[] {
  if (context.writable) {
    return [{ path: '/config', methods: { GET: () => needsNoDatabase, POST: () => needsNoDatabase } }]
  }
  return [
    {
      path: '/config',
      accepts: ['application/yaml', 'text/yaml'],
      methods: {
        GET: () => ok({ config: exportDeclarative(context.store.reader, context) }),
        POST: (request) => load(context, request),
      },
    },
  ]
}

async function load({ store }: Context, { body, query }: AdminRequest): Promise<Answer> {
  const source = sourceOf(body)
  if (source === undefined) return expectedConfiguration
  if (isUnchanged(source, query, loadedHash(store.reader))) return { status: 304 }
  const declaration = parseDeclarative(source, {
    flatten: ['1', 'true', 'on', 'yes'].includes(query.get('flatten_errors') ?? ''),
    info: 'refused',
    previous: previousOf(store.reader),
  })
  if (!declaration.ok) return refused(declaration)
  const written = await loadDeclarative(store, declaration)
  return written.ok ? created(byKindAndId(declaration)) : storeRefusal(written.error)
}

/** The configuration in a body: a text, or data that stood in the body itself. */
function sourceOf({ kind, value, text }: Body): string | object | undefined {
  if (kind === 'none') return undefined
  if (kind === 'text') return text
  const { config } = value
  if (typeof config === 'string' || (typeof config === 'object' && config !== null)) return config
  return kind === 'json' ? value : undefined
}

/** As in Kong, only a text's hash is compared: data is hashed when it has been checked. */
const isUnchanged = (source: string | object, query: URLSearchParams, hash: string): boolean =>
  query.get('check_hash') === '1' && typeof source === 'string' && configHash(source) === hash

function refused({ code, name, message: text, fields, flattened }: Refusal): Answer {
  const body = { code, name, message: text, fields, ...(flattened && { flattened_errors: flattened }) }
  return { status: 400, body }
}

/** Every entity by kind and id; kinds without any are left out. */
function byKindAndId({ entities }: Declaration): Record<string, Record<string, unknown>> {
  const byKind: Record<string, Record<string, unknown>> = {}
  for (const { kind, entity } of entities) (byKind[kind] ??= {})[entity.id] = entity
  return byKind
}
