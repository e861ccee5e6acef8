/**
 * `POST /jwt/explain`: what the gateway would say of a token, and why. It changes nothing and tells no secret.
 * `POST /jwt/rotate-keys`: has the gateway sign its own tokens with a new key at once.
 */
import { message, ok, schemaViolation, type Answer } from '../../admin/answers.ts'
import { inferForm } from '../../admin/form.ts'
import type { PluginApi, Tools } from '../../admin/plugin-api.ts'
import type { AdminRequest, Endpoint } from '../../admin/types.ts'
import { checkInsert } from '../../schema/check.ts'
import type { Schema } from '../../schema/field.ts'
import { bearerToken } from './locations.ts'
import { jwt_revocations } from './revocations-schema.ts'
import { jwtPlugins, reportOn } from './report.ts'
import { changeSigningKeys } from './signing-keys.ts'

const explaining = {
  name: 'jwt_explain',
  fields: [
    { token: { type: 'string', required: true, len_min: 1 } },
    { on: { type: 'string', len_min: 1 } },
    { now: { type: 'number', between: [0, 100_000_000_000] } },
  ],
} as const satisfies Schema

const rotating = {
  name: 'jwt_rotate_keys',
  fields: [{ withdraw: { type: 'boolean', default: false } }],
} as const satisfies Schema

export const api: PluginApi = (tools): Endpoint[] => [
  { path: '/jwt/explain', own: true, onlyReads: true, methods: { POST: (request) => explain(tools, request) } },
  { path: '/jwt-revocations/changes', own: true, methods: { GET: (request) => revocationChanges(tools, request) } },
  { path: '/jwt/rotate-keys', own: true, methods: { POST: (request) => rotateKeys(tools, request) } },
]

/** Programs that follow ask again with the revision that they were told. */
const mostChanges = 1000

/** What was taken back and given back after a revision; without one, where to begin. */
function revocationChanges(tools: Tools, { query }: AdminRequest): Answer {
  const since = query.get('since')
  if (since !== null && !/^\d{1,15}$/.test(since)) return message(400, 'since must be a revision')
  const { reader } = tools.store
  const { revision } = reader
  if (since === null) return ok({ revision, data: [] })
  const changes = Number(since) > revision ? undefined : reader.changesSince(Number(since))
  if (!changes) return message(410, 'what has changed since then is no longer known: read /jwt-revocations')
  const ours = changes.filter(({ kind }) => kind === jwt_revocations.name)
  const told = ours.slice(0, mostChanges)
  return ok({
    revision: told.length < ours.length ? told.at(-1)!.revision : revision,
    data: [...new Set(told.map(({ id }) => id))].map((id) => ({
      id,
      revocation: tools.find(jwt_revocations.name, id) ?? null,
    })),
  })
}

/** A body, JSON or a form, as its schema reads it. */
function read(schema: Schema, { body }: AdminRequest) {
  return checkInsert(schema, body.kind === 'form' ? inferForm(schema, body.value) : body.value)
}

async function explain(tools: Tools, request: AdminRequest): Promise<Answer> {
  const checked = read(explaining, request)
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

async function rotateKeys({ store }: Tools, request: AdminRequest): Promise<Answer> {
  const checked = read(rotating, request)
  if (!checked.ok) return schemaViolation(checked.errors)
  const { withdraw } = checked.value as { withdraw: boolean | null }
  const changed = await changeSigningKeys(store, Math.floor(Date.now() / 1000), { withdraw: withdraw === true })
  return changed ? ok(changed) : message(503, 'the store is not available')
}
