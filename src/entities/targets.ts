import { hostAndPort, parseHost } from '../schema/address.ts'
import type { Schema } from '../schema/field.ts'
import { auto_timestamp_ms, tags, uuid } from '../schema/typedefs.ts'

const defaultPort = 8000

/** A host and port among which an upstream balances. */
export const targets = {
  name: 'targets',
  endpoint_key: 'target',
  cache_key: ['upstream', 'target'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_ms },
    { updated_at: auto_timestamp_ms },
    {
      upstream: {
        type: 'foreign',
        reference: 'upstreams',
        required: true,
        on_delete: 'cascade',
        description: 'The upstream that it belongs to.',
      },
    },
    {
      target: {
        type: 'string',
        required: true,
        description: 'A host name or IP address, with a port or the default 8000.',
        $check: (text: string) =>
          'error' in parseHost(text) ? `Invalid target ('${text}'); not a valid hostname or ip address` : undefined,
      },
    },
    {
      weight: {
        type: 'integer',
        default: 100,
        between: [0, 65_535],
        description: 'Its share of the requests; 0 means none.',
      },
    },
    { tags },
  ],
  $prepare: withPort,
} as const satisfies Schema

/** Targets are kept with their port and with IPv6 addresses written out, so that the same one is known again. */
function withPort(
  input: Readonly<Record<string, unknown>>,
): { value: Record<string, unknown> } | { errors: Record<string, string> } {
  const text = input['target']
  if (typeof text !== 'string') return { value: { ...input } }
  const parsed = parseHost(text)
  if ('error' in parsed) return { errors: { target: 'Invalid target; not a valid hostname or ip address' } }
  return { value: { ...input, target: hostAndPort(parsed, defaultPort) } }
}
