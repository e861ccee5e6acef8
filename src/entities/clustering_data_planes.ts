import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, host, ip, uuid } from '../schema/typedefs.ts'

/** A data plane that a control plane knows of, and how it fares. */
export const clustering_data_planes = {
  name: 'clustering_data_planes',
  admin_api_name: 'clustering/data-planes',
  generate_admin_api: false,
  db_export: false,
  ttl: true,
  fields: [
    { id: { ...uuid, required: true } },
    { last_seen: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { ip: { ...ip, required: true } },
    { config_hash: { type: 'string', len_eq: 32, description: 'The hash of the configuration that it has.' } },
    { hostname: { ...host, required: true } },
    {
      version: {
        type: 'string',
        match_any: {
          patterns: ['^%d+[%.%d]*$', '^%d+[%.%d]*%-?.*$'],
          err: 'invalid version number: must be in format of X.Y.Z',
        },
        match_none: [{ pattern: '%.%.', err: 'must not have empty version segments' }],
        description: 'The version that it runs.',
      },
    },
    {
      sync_status: {
        type: 'string',
        required: true,
        default: 'unknown',
        one_of: [
          'unknown',
          'normal',
          'kong_version_incompatible',
          'plugin_set_incompatible',
          'plugin_version_incompatible',
          'filter_set_incompatible',
        ],
        description: 'Whether it can be sent the configuration.',
      },
    },
    {
      labels: {
        type: 'map',
        keys: { type: 'string' },
        values: { type: 'string' },
        description: 'What its owner calls it.',
      },
    },
    {
      cert_details: {
        type: 'record',
        required: true,
        fields: [{ expiry_timestamp: { type: 'number', timestamp: true, required: false } }],
        description: 'About the certificate that it came with.',
      },
    },
    { rpc_capabilities: { type: 'set', elements: { type: 'string' }, description: 'The calls that it understands.' } },
  ],
} as const satisfies Schema
