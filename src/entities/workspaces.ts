import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, utf8_name, uuid } from '../schema/typedefs.ts'

/** Kong's workspaces, of which there is one: `default`. */
export const workspaces = {
  name: 'workspaces',
  endpoint_key: 'name',
  cache_key: ['name'],
  generate_admin_api: false,
  fields: [
    { id: uuid },
    {
      name: {
        ...utf8_name,
        required: true,
        len_min: 1,
        not_one_of: [
          'workspaces',
          'consumers',
          'certificates',
          'services',
          'routes',
          'snis',
          'upstreams',
          'targets',
          'plugins',
          'tags',
          'ca_certificates',
          'clustering_data_planes',
          'parameters',
          'vaults',
          'key_sets',
          'keys',
          'filter_chains',
        ],
      },
    },
    { comment: { type: 'string', description: 'What it is for.' } },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { meta: { type: 'record', required: true, fields: [] } },
    { config: { type: 'record', required: true, fields: [] } },
  ],
} as const satisfies Schema
