import type { Schema } from '../../schema/field.ts'
import { header_name, protocols_http } from '../../schema/typedefs.ts'

interface Checked {
  readonly message?: string | null
  readonly content_type?: string | null
  readonly body?: string | null
  readonly echo?: boolean
}

/** What excludes each other. */
function configError({ message, content_type, body, echo }: Checked): string | undefined {
  if (message && (content_type || body)) return 'message cannot be used with content_type or body'
  if (content_type && !body) return 'content_type requires a body'
  return echo && body ? 'echo cannot be used with content_type and body' : undefined
}

/** The request-termination plugin's settings. */
export const schema = {
  name: 'request-termination',
  fields: [
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            status_code: {
              type: 'integer',
              required: true,
              default: 503,
              between: [100, 599],
              description: "The answer's status.",
            },
          },
          { message: { type: 'string', description: 'The text of a JSON answer.' } },
          { content_type: { type: 'string', description: 'The type of `body`.' } },
          { body: { type: 'string', description: 'The answer as it is, in place of `message`.' } },
          {
            echo: {
              type: 'boolean',
              required: true,
              default: false,
              description: 'Whether the answer tells the request that it is for, and the route that it matched.',
            },
          },
          {
            trigger: {
              ...header_name,
              description: 'A header or query argument without which requests go on.',
            },
          },
        ],
        $check: configError,
      },
    },
  ],
} as const satisfies Schema
