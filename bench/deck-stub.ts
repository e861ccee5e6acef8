/**
 * An Admin API that answers at once: it keeps in memory what it is sent, checks nothing and makes nothing durable. What decK
 * takes against it is decK's own time. Schemas and the like are those of a real gateway, asked once: `node deck-stub.ts URL`.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const [gateway = ''] = process.argv.slice(2)

type Stored = Readonly<Record<string, unknown>>

/** What is kept, by the name of its collection: `jwts`, `consumers`. */
const collections = new Map<string, Map<string, string>>()
/** Answers that never change, by path. */
const fixed = new Map<string, { readonly status: number; readonly body: string }>()

/** Nested collections and the name under which all of them are listed. */
const listedAs: Readonly<Record<string, string>> = { jwt: 'jwts' }
/** The config of a jwt plugin, which decK leaves out where it is the default, but expects back. */
const jwtConfig = {
  anonymous: null,
  claims_to_verify: null,
  cookie_names: [],
  header_names: ['authorization'],
  key_claim_name: 'iss',
  maximum_expiration: 0,
  realm: null,
  run_on_preflight: true,
  secret_is_base64: false,
  uri_param_names: ['jwt'],
}
const fixedPaths = /^\/(?:$|\?|status|schemas\/|kong|endpoints|workspaces)/

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
  request.on('end', () => void answer(request.method ?? '', request.url ?? '/', body, response))
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit())

async function answer(method: string, url: string, body: string, response: ServerResponse): Promise<void> {
  if (method === 'GET' && fixedPaths.test(url)) return send(response, await fixedAnswer(url))
  const { pathname, searchParams } = new URL(url, 'http://stub')
  const parts = pathname.split('/').filter((part) => part !== '')
  const isCollection = parts.length % 2 === 1
  const last = parts.at(isCollection ? -1 : -2) ?? ''
  const name = listedAs[last] ?? last
  const kept = collections.get(name) ?? new Map<string, string>()
  collections.set(name, kept)
  if (method === 'GET')
    return send(response, isCollection ? page(kept, searchParams) : one(kept.get(parts.at(-1) ?? '')))
  if (method === 'DELETE') {
    kept.delete(parts.at(-1) ?? '')
    return send(response, { status: 204, body: '' })
  }
  const entity = JSON.parse(body) as Stored & { readonly id?: string }
  const id = entity.id ?? parts.at(-1) ?? ''
  const whole = { ...entity, id, created_at: 1_700_000_000, ...parentOf(parts, isCollection) }
  const text = JSON.stringify(name === 'plugins' ? { ...whole, config: jwtConfig } : whole)
  kept.set(id, text)
  send(response, { status: method === 'POST' ? 201 : 200, body: text })
}

/** `/consumers/1/jwt/2`: the link that the path lays down. */
function parentOf(parts: readonly string[], isCollection: boolean): Stored {
  const [kind = '', id] = isCollection ? parts.slice(-3, -1) : parts.slice(-4, -2)
  return id === undefined ? {} : { [kind.replace(/s$/, '')]: { id } }
}

async function fixedAnswer(url: string): Promise<{ readonly status: number; readonly body: string }> {
  const known = fixed.get(url)
  if (known) return known
  const answer = await fetch(gateway + url)
  const made = { status: answer.status, body: await answer.text() }
  fixed.set(url, made)
  return made
}

function page(kept: ReadonlyMap<string, string>, query: URLSearchParams): { status: number; body: string } {
  const size = Number(query.get('size') ?? 100)
  const begin = Number(query.get('offset') ?? 0)
  const texts = [...kept.values()].slice(begin, begin + size)
  const next =
    begin + size < kept.size ? `,"offset":"${begin + size}","next":"/?offset=${begin + size}"` : ',"next":null'
  return { status: 200, body: `{"data":[${texts.join()}]${next}}` }
}

const one = (text: string | undefined) =>
  text === undefined ? { status: 404, body: '{"message":"Not found"}' } : { status: 200, body: text }

function send(response: ServerResponse, { status, body }: { status: number; body: string }): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
