import type { Field, Schema } from '../schema/field.ts'
import { auto_timestamp_s, protocols, tags, utf8_name, uuid } from '../schema/typedefs.ts'

const scope = (reference: string, description: string) =>
  ({ type: 'foreign', reference, default: null, on_delete: 'cascade', description }) as const satisfies Field

/** A plugin put to work: for everything, or for one route, service, consumer, or several of these at once. */
export const plugins = {
  name: 'plugins',
  endpoint_key: 'instance_name',
  cache_key: ['name', 'route', 'service', 'consumer'],
  subschema_key: 'name',
  subschema_error: "plugin '%s' not enabled; add it to the 'plugins' configuration property",
  fields: [
    { id: uuid },
    { name: { type: 'string', required: true, description: 'Which plugin it is.' } },
    { instance_name: { ...utf8_name, description: 'A unique name of your own for it.' } },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { route: scope('routes', 'The route that it is limited to.') },
    { service: scope('services', 'The service that it is limited to.') },
    { consumer: scope('consumers', 'The consumer that it is limited to.') },
    { config: { type: 'record', abstract: true, description: "The plugin's own settings." } },
    { protocols },
    { enabled: { type: 'boolean', required: true, default: true, description: 'Whether it runs.' } },
    { tags },
  ],
} as const satisfies Schema
