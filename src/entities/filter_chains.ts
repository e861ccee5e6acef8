import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, utf8_name, uuid } from '../schema/typedefs.ts'

/** WebAssembly filters of a route or service. There are none here: the declaration says so to those who ask. */
export const filter_chains = {
  name: 'filter_chains',
  endpoint_key: 'name',
  admin_api_name: 'filter-chains',
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
            { name: { type: 'string', required: true, one_of: [], err: 'no such filter' } },
            { enabled: { type: 'boolean', required: true, default: true } },
            {
              config: {
                type: 'json',
                required: false,
                json_schema: {
                  parent_subschema_key: 'name',
                  namespace: 'proxy-wasm-filters',
                  optional: true,
                  default: { $schema: 'http://json-schema.org/draft-04/schema#', type: ['string', 'null'] },
                },
              },
            },
          ],
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
      custom_entity_check: {
        field_sources: ['filters'],
        run_with_invalid_fields: true,
        $check: () => 'wasm support is not enabled',
      },
    },
  ],
} as const satisfies Schema
