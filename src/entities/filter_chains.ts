import type { EntityCheck, Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, utf8_name, uuid } from '../schema/typedefs.ts'

/** What a filter's config has to be where its maker does not say. */
export const plainConfig = { $schema: 'http://json-schema.org/draft-04/schema#', type: ['string', 'null'] }

/** WebAssembly filters of a route or service, where there are none: the declaration says so to those who ask. */
export const filter_chains = declared([], 'wasm support is not enabled')

/** The same where filters may be named, by their names; `hasSchema` tells of which the config may be more than a text. */
export function filterChainsOf(names: readonly string[], hasSchema: (name: string) => boolean): Schema {
  const { generate_admin_api: _, ...schema } = declared(
    names,
    names.length === 0 ? 'no wasm filters are available' : undefined,
    [
      {
        custom_entity_check: {
          field_sources: ['name', 'config'],
          $check: ({ name, config }) =>
            config === undefined || config === null || typeof config === 'string' || hasSchema(String(name))
              ? undefined
              : `config: wrong type: expected one of string, null, got ${Array.isArray(config) ? 'array' : typeof config}`,
        },
      },
    ],
  )
  return schema
}

function declared(names: readonly string[], unavailable: string | undefined, filterChecks?: readonly EntityCheck[]) {
  return {
    name: 'filter_chains',
    endpoint_key: 'name',
    admin_api_name: 'filter-chains',
    admin_api_nested_name: 'filter-chains',
    generate_admin_api: false,
    cache_key: ['route', 'service'],
    fields: [
      { id: uuid },
      { name: utf8_name },
      { enabled: { type: 'boolean', required: true, default: true } },
      { route: { type: 'foreign', reference: 'routes', on_delete: 'cascade', default: null, unique: true } },
      { service: { type: 'foreign', reference: 'services', on_delete: 'cascade', default: null, unique: true } },
      {
        filters: {
          type: 'array',
          required: true,
          len_min: 1,
          elements: {
            type: 'record',
            fields: [
              { name: { type: 'string', required: true, one_of: names, err: 'no such filter' } },
              { enabled: { type: 'boolean', required: true, default: true } },
              {
                config: {
                  type: 'json',
                  required: false,
                  json_schema: {
                    parent_subschema_key: 'name',
                    namespace: 'proxy-wasm-filters',
                    optional: true,
                    default: plainConfig,
                  },
                },
              },
            ],
            ...(filterChecks && { entity_checks: filterChecks }),
          },
        },
      },
      { created_at: auto_timestamp_s },
      { updated_at: auto_timestamp_s },
      { tags },
    ],
    entity_checks: [
      { mutually_exclusive: ['service', 'route'] },
      { at_least_one_of: ['service', 'route'] },
      {
        custom_entity_check: { field_sources: ['filters'], run_with_invalid_fields: true, $check: () => unavailable },
      },
    ],
  } as const satisfies Schema
}
