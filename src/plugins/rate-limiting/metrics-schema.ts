import type { Schema } from '../../schema/field.ts'

/**
 * What was counted in a window, where nodes count in the database. Kong tells these apart by all fields but the value; here there is
 * an id that follows from them.
 */
export const ratelimiting_metrics = {
  name: 'ratelimiting_metrics',
  generate_admin_api: false,
  ttl: true,
  db_export: false,
  fields: [
    { id: { type: 'string', uuid: true, $extension: true, description: 'Follows from what is counted.' } },
    { identifier: { type: 'string', required: true, len_min: 0, description: 'What requests are counted by.' } },
    { period: { type: 'string', required: true, description: 'The length of the window, such as `minute`.' } },
    {
      period_date: {
        type: 'integer',
        timestamp: true,
        required: true,
        description: 'When it began, in seconds since 1970.',
      },
    },
    { service_id: { type: 'string', uuid: true, required: true, description: 'The service of the plugin, or zeros.' } },
    { route_id: { type: 'string', uuid: true, required: true, description: 'The route of the plugin, or zeros.' } },
    { value: { type: 'integer', required: true, description: 'How many requests there were.' } },
  ],
} as const satisfies Schema
