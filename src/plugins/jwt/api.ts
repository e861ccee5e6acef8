/** `POST /jwt/explain`: what the gateway would say of a token, and why. It changes nothing and tells no secret. */
import { message, ok, schemaViolation, type Answer } from '../../admin/answers.ts'
import { inferForm } from '../../admin/form.ts'
import type { PluginApi, Tools } from '../../admin/plugin-api.ts'
import type { AdminRequest, Endpoint } from '../../admin/types.ts'
import { checkInsert } from '../../schema/check.ts'
import type { Schema } from '../../schema/field.ts'
import { bearerToken } from './locations.ts'
import { jwtPlugins, reportOn } from './report.ts'

const body = {
  name: 'jwt_explain',
  fields: [
    { token: { type: 'string', required: true, len_min: 1 } },
    { on: { type: 'string', len_min: 1 } },
    { now: { type: 'number', between: [0, 100_000_000_000] } },
  ],
} as const satisfies Schema

export const api: PluginApi = (tools): Endpoint[] => [
  { path: '/jwt/explain', own: true, onlyReads: true, methods: { POST: (request) => explain(tools, request) } },
]

async function explain(tools: Tools, request: AdminRequest): Promise<Answer> {
  const sent = request.body.kind === 'form' ? inferForm(body, request.body.value) : request.body.value
  const checked = checkInsert(body, sent)
  if (!checked.ok) return schemaViolation(checked.errors)
  const { token, on, now } = checked.value as { token: string; on?: string | null; now?: number | null }
  const plugins = jwtPlugins(tools.all('plugins'), (kind, id) => tools.entities.get(kind, id)?.entity)
  const report = await reportOn(bearerToken(token) ?? token.trim(), plugins, on ?? undefined, {
    entities: tools.entities,
    now: now ?? Math.floor(Date.now() / 1000),
    issuerKeys: tools.issuerKeys,
  })
  return report ? ok(report) : message(404, `no jwt plugin is called ${JSON.stringify(on)}`)
}
