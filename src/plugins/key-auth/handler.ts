/**
 * The key-auth plugin: a request is let through when it carries a Consumer's API key.
 * Source: Kong's docs, "Key Auth".
 */
import { admit, authenticate } from '../../pdk/authentication.ts'
import type { BodyFields } from '../../pdk/body.ts'
import type { AccessKong, Answer, Request } from '../../pdk/kong.ts'
import { definePlugin, type Outcome } from '../../pdk/plugin.ts'
import { quoted, utf8Of } from '../../pdk/wire-text.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly names: readonly Name[]
  readonly inHeader: boolean
  readonly inQuery: boolean
  readonly inBody: boolean
  readonly hides: boolean
  readonly runsOnPreflight: boolean
  readonly anonymous: string | null
  readonly challenge: Readonly<Record<string, string>>
}

interface Name {
  readonly name: string
  /** The headers of this name: with `_` it also stands for the one with `-`, as in Kong. */
  readonly headers: readonly string[]
}

/** What stands under a name: a text, several of them, or anything else that is no key. */
type Value = unknown

export default definePlugin<Config, Ready>({
  version: '3.10.0',
  priority: 1250,
  prepare: (config) => ({
    names: config.key_names.map((name) => ({ name, headers: headersOf(name) })),
    inHeader: config.key_in_header,
    inQuery: config.key_in_query,
    inBody: config.key_in_body,
    hides: config.hide_credentials,
    runsOnPreflight: config.run_on_preflight,
    anonymous: config.anonymous,
    challenge: { 'WWW-Authenticate': config.realm === null ? 'Key' : `Key realm=${quoted(config.realm)}` },
  }),
  access(kong, ready) {
    if (!ready.runsOnPreflight && kong.request.get_method() === 'OPTIONS') return undefined
    return authenticate(kong, ready, attempt)
  },
})

function headersOf(name: string): string[] {
  const lower = name.toLowerCase()
  return lower.includes('_') ? [lower, lower.replaceAll('_', '-')] : [lower]
}

/** The body is read only where no key is found before it, or where it has to be taken out of it. */
function attempt(kong: AccessKong, ready: Ready): Outcome {
  for (const name of ready.names) {
    const value = inHead(kong.request, ready, name)
    if (value === undefined && ready.inBody) return attemptWithBody(kong, ready)
    if (value === undefined || value === true) continue
    if (ready.hides && ready.inBody) return attemptWithBody(kong, ready)
    return judge(kong, ready, name.name, value, undefined)
  }
  return noKey(kong, ready)
}

async function attemptWithBody(kong: AccessKong, ready: Ready): Promise<Answer | undefined> {
  const body = await kong.request.get_body()
  for (const name of ready.names) {
    const value = inHead(kong.request, ready, name) ?? body?.get(name.name)
    if (typeof value === 'string' || isTable(value)) return judge(kong, ready, name.name, value, body)
  }
  return noKey(kong, ready)
}

function inHead(request: Request, { inHeader, inQuery }: Ready, { name, headers }: Name): Value {
  for (const header of inHeader ? headers : []) {
    const values = request.get_header_values(header)
    if (values.length > 0) return values.length === 1 ? utf8Of(values[0] as string) : values
  }
  if (!inQuery || request.get_raw_query() === '') return undefined
  const values = request.get_query().get(name)
  return values?.length === 1 ? values[0] : values
}

const isTable = (value: Value): boolean => typeof value === 'object' && value !== null

/** The first name that holds anything decides: several keys, or an empty one, are not looked past. */
function judge(
  kong: AccessKong,
  ready: Ready,
  name: string,
  value: Value,
  body: BodyFields | undefined,
): Answer | undefined {
  if (typeof value !== 'string') return refuse(kong, ready, 'Duplicate API key found')
  if (ready.hides) hide(kong, name, body)
  if (value === '') return noKey(kong, ready)
  // A lone surrogate has no UTF-8 form, so that no stored key can be meant.
  const credential = value.isWellFormed() ? kong.entities.by('keyauth_credentials', 'key', value) : undefined
  if (credential && admit(kong, credential.entity, credential.entity.id)) return undefined
  return refuse(kong, ready, 'Unauthorized')
}

function hide({ service }: AccessKong, name: string, body: BodyFields | undefined): void {
  service.request.clear_query_arg(name)
  for (const header of headersOf(name)) service.request.clear_header(header)
  if (body?.get(name) !== undefined) service.request.set_raw_body(body.without(name))
}

const noKey = (kong: AccessKong, ready: Ready): Answer => refuse(kong, ready, 'No API key found in request')

const refuse = (kong: AccessKong, { challenge }: Ready, message: string): Answer =>
  kong.response.error(401, message, challenge)
