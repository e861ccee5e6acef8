import { exportDeclarative } from '../../config/declarative-export.ts'
import {
  configHash,
  type Checked,
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

const accepts = ['application/yaml', 'text/yaml']

/** `/config`: the whole configuration at once, where it comes from no database. */
export function configEndpoints(context: Context): Endpoint[] {
  if (context.writable) {
    return [{ path: '/config', accepts, methods: { GET: () => needsNoDatabase, POST: () => needsNoDatabase } }]
  }
  return [
    {
      path: '/config',
      accepts,
      methods: {
        GET: () => ok({ config: exportDeclarative(context.store.reader, context) }),
        POST: (request) => load(context, request),
      },
    },
  ]
}

async function load({ store, kinds }: Context, { body, query }: AdminRequest): Promise<Answer> {
  const source = sourceOf(body)
  if (source === undefined) return expectedConfiguration
  const asked = optionsOf(body, query)
  if (asked.checksHash && isUnchanged(source, loadedHash(store.reader))) return { status: 304 }
  const declaration = parseDeclarative(source, {
    flatten: asked.flatten,
    info: 'refused',
    previous: previousOf(store.reader),
    kinds,
  })
  if (!declaration.ok) return refused(declaration)
  const written = await loadDeclarative(store, declaration)
  if ('places' in written) return refused(written)
  return written.ok ? created(byKindAndId(declaration)) : storeRefusal(written.error)
}

/** What is asked in the body, or else in the query; a body's `check_hash` and `flatten_errors` are no part of the configuration. */
function optionsOf(
  { value }: Body,
  query: URLSearchParams,
): { readonly checksHash: boolean; readonly flatten: boolean } {
  const given = (name: string): string => textOf(value[name] ?? query.get(name)).toLowerCase()
  return {
    checksHash: given('check_hash') === '1',
    flatten: ['1', 'true', 'on', 'yes'].includes(given('flatten_errors')),
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

/** The configuration in a body: a text, or data that stood in the body itself. A form that names none is taken as a text. */
function sourceOf({ kind, value, text }: Body): string | object | undefined {
  const { config, check_hash: _, flatten_errors: __, ...data } = value
  if (typeof config === 'string' || (typeof config === 'object' && config !== null)) return config
  return kind === 'json' ? data : text || undefined
}

/** As in Kong, only a text's hash is compared: data is hashed when it has been checked. */
const isUnchanged = (source: string | object, hash: string): boolean =>
  typeof source === 'string' && configHash(source) === hash

function refused({ code, name, message: text, fields, flattened }: Refusal): Answer {
  const body = { code, name, message: text, fields, ...(flattened && { flattened_errors: flattened }) }
  return { status: 400, body }
}

/** Every entity by kind and id; kinds without any are left out. */
function byKindAndId({ entities }: Checked): Record<string, Record<string, unknown>> {
  const byKind: Record<string, Record<string, unknown>> = {}
  for (const { kind, entity } of entities) (byKind[kind] ??= {})[entity.id] = entity
  return byKind
}
