/**
 * The tokens of the Admin API: made, found, listed and taken back, in the store, so that all nodes know them.
 *
 * A token is `gibbon_ID_SECRET`: its entity's id in 32 hexadecimal digits, and 32 random bytes in base64url. Only a hash is
 * kept. A fast one is enough, since nobody can go through 2^256 secrets.
 */
import { createHash, randomBytes } from 'node:crypto'
import { sameSecret } from '../pdk/secrets.ts'
import { admin_tokens } from '../entities/admin_tokens.ts'
import { checkInsert, errorMessage } from '../schema/check.ts'
import type { Entity } from '../schema/infer.ts'
import type { Reader, Store } from './store.ts'

export type AdminToken = Entity<typeof admin_tokens> & { readonly id: string }
export type AdminRole = AdminToken['role']

/** What people are shown of a token: all but its hash. */
export type ShownToken = Omit<AdminToken, 'hash'>

/** What came of a wish, with the status that tells it over HTTP. */
export type TokenOutcome<T> = T | { readonly status: 400 | 404 | 409 | 503; readonly problem: string }

/** Makes a token; its text is in the answer, and nowhere else. `ttl` is in seconds. */
export async function createAdminToken(
  store: Pick<Store, 'write'>,
  wanted: Readonly<Record<string, unknown>>,
): Promise<TokenOutcome<{ readonly token: string; readonly made: ShownToken }>> {
  const secret = randomBytes(32).toString('base64url')
  const { name, role, ttl } = wanted
  const checked = checkInsert(admin_tokens, { name, role, ttl, hash: 'of the token, which needs the id' })
  if (!checked.ok) return { status: 400, problem: errorMessage(checked.errors) }
  const id = String(checked.value['id'])
  const token = `gibbon_${id.replaceAll('-', '')}_${secret}`
  const entity = { ...(checked.value as unknown as AdminToken), hash: hashOf(token).toString('hex') }
  const written = await store.write([{ do: 'insert', kind: admin_tokens.name, entity }])
  if (written.ok) return { token, made: shown(entity) }
  if (written.error.code === 'unique') return { status: 409, problem: `there is a token named ${entity.name} already` }
  return unavailable
}

/** Every token, by name. */
export function listAdminTokens(reader: Pick<Reader, 'all'>): ShownToken[] {
  const tokens = [...reader.all(admin_tokens.name)] as unknown as AdminToken[]
  return tokens.map(shown).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Takes a token back, named by its name or its id. */
export async function revokeAdminToken(
  { reader, write }: Pick<Store, 'reader' | 'write'>,
  nameOrId: string,
): Promise<TokenOutcome<{ readonly revoked: ShownToken }>> {
  const found = (reader.by(admin_tokens.name, 'name', nameOrId) ?? reader.get(admin_tokens.name, nameOrId)) as
    | AdminToken
    | undefined
  if (!found) return { status: 404, problem: `there is no token ${nameOrId}` }
  const written = await write([{ do: 'delete', kind: admin_tokens.name, id: found.id }])
  return written.ok || written.error.code === 'absent' ? { revoked: shown(found) } : unavailable
}

/** The token of this text; undefined where none is, or is no longer. Costs one read whatever a stranger sends. */
export function findAdminToken(reader: Pick<Reader, 'get'>, text: string): AdminToken | undefined {
  const id = idOf(text)
  const found = id && (reader.get(admin_tokens.name, id) as AdminToken | undefined)
  return found && sameSecret(Buffer.from(found.hash, 'hex'), hashOf(text)) ? found : undefined
}

/** Whether two texts are the same, in a time that does not tell how much of them is. */
export const isSameText = (a: string, b: string): boolean => sameSecret(hashOf(a), hashOf(b))

const unavailable = { status: 503, problem: 'the store is not available' } as const

const form = /^gibbon_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})_[\w-]{43}$/

function idOf(text: string): string | undefined {
  return form.exec(text)?.slice(1).join('-')
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest()

function shown({ id, created_at, name, role, ttl }: AdminToken): ShownToken {
  return { id, created_at, name, role, ttl }
}
