/** The client applications that ask for codes and tokens. */
import { decodeBase64 } from '../../pdk/base64.ts'
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong } from '../../pdk/kong.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { hashLike } from './hash.ts'
import type { Parameters } from './parameters.ts'
import { problem, type Problem, type Ready } from './ready.ts'

/** What a client says of itself; `fromHeader` where the header was looked at. */
export interface Credentials {
  readonly id: string | undefined
  readonly secret: string | undefined
  readonly fromHeader: boolean
}

/** Reads them from the parameters where both are there, else from the header, else the id alone. RFC 6749 2.3.1. */
export function credentialsOf(kong: AccessKong, { tokenHeader }: Ready, parameters: Parameters): Credentials {
  const [id, secret] = [parameters.text('client_id'), parameters.text('client_secret')]
  if (id !== undefined && secret !== undefined) return { id, secret, fromHeader: false }
  const header = kong.request.get_header(tokenHeader)
  return header === undefined ? { id, secret: undefined, fromHeader: false } : { ...inHeader(header), fromHeader: true }
}

function inHeader(header: string): Pick<Credentials, 'id' | 'secret'> {
  const text = /[Bb]asic\s*(.+)/.exec(header)?.[1]
  const pair = text === undefined ? undefined : decodeBase64(text)?.toString('utf8')
  if (pair === undefined) return { id: undefined, secret: undefined }
  const colon = pair.indexOf(':')
  return colon < 0 ? { id: pair, secret: undefined } : { id: pair.slice(0, colon), secret: pair.slice(colon + 1) }
}

/** The client of this id. */
export function clientOf({ entities }: AccessKong, id: string | undefined): Entity | undefined {
  return id === undefined || id === '' ? undefined : entities.by('oauth2_credentials', 'client_id', id)?.entity
}

/** Where a client's users may be sent back to. */
export const redirectUrisOf = (client: Entity | undefined): readonly string[] | undefined =>
  (client?.['redirect_uris'] as readonly string[] | null | undefined) ?? undefined

/** The address that a request names, or the first that is registered; undefined where that is no text. */
export const redirectUriOf = (parameters: Parameters, registered: readonly string[] | undefined): string | undefined =>
  parameters.has('redirect_uri') ? parameters.text('redirect_uri') : registered?.[0]

export const invalidClient = problem('invalid_client', 'Invalid client authentication')

export const invalidRedirectUri = problem(
  'invalid_request',
  'Invalid redirect_uri that does not match with any redirect_uri created with the application',
)

/** What is wrong with a client's proof that it is itself; a public one has none to give. */
export async function proofProblem(client: Entity, { secret }: Credentials): Promise<Problem | undefined> {
  if (client['client_type'] !== 'public') return (await isProven(client, secret)) ? undefined : invalidClient
  return (secret ?? '').trim() === ''
    ? undefined
    : problem('invalid_request', 'client_secret is disallowed for public clients')
}

/** A client without a secret has proven nothing. */
async function isProven(client: Entity, secret: string | undefined): Promise<boolean> {
  const kept = client['client_secret']
  if (typeof kept !== 'string' || kept === '' || secret === undefined) return false
  if (!client['hash_secret']) return sameSecret(kept, secret)
  const hashes = await hashLike(secret, kept)
  return hashes !== undefined && sameSecret(...hashes)
}

/** Whether a client has to prove that a code is its own. RFC 7636. */
export function requiresPkce({ config }: Ready, client: Entity): boolean {
  if (client['client_type'] === 'public') return config.pkce !== 'none'
  return config.pkce === 'strict'
}
