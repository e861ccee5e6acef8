/**
 * A token of the gateway's own for the upstream, in place of the client's or beside it: short-lived, for one audience, and verified
 * with the keys that the gateway publishes. It is made once for a client's token and kept with it until half of its life is over.
 */
import type { Entities, Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import type { ServedDocument } from '../../pdk/plugin.ts'
import type { Refuse } from './answers.ts'
import { claimAt, textOf } from './claims.ts'
import { jsonDocument } from './documents.ts'
import type { Config } from './ready.ts'
import { signToken } from './sign.ts'
import { signingAlgorithm, type SigningKeys, signingKeys } from './signing-keys.ts'
import type { JsonObject } from './token.ts'

/** What of a client's token goes into those that are made for it, and the last one that was made. */
export interface Carried {
  readonly claims: JsonObject
  made?: { readonly text: string; readonly until: number; readonly keys: SigningKeys }
}

export interface UpstreamToken {
  /** The header that it stands in, in lower case. */
  readonly header: string
  carry(claims: JsonObject, consumer: Entity | null): Carried
  /** Gives the request its token; an answer where none can be made. `bound` is when the client's token ends, Infinity for never. */
  put(kong: AccessKong, carried: Carried, now: number, bound: number): Answer | undefined | Promise<Answer | undefined>
}

type Options = NonNullable<Config['upstream_token']>

const usualTtl = 300
const usualPath = '/.well-known/gibbon/jwks.json'
const jwksAgeSeconds = 600

/** Undefined where the config asks for none. */
export function upstreamTokenOf({ upstream_token: options }: Config, refuse: Refuse): UpstreamToken | undefined {
  if (options === undefined) return undefined
  const { header = 'Authorization' } = options
  const isAuthorization = header.toLowerCase() === 'authorization'
  const unavailable = refuse('unavailable', 503, { message: 'The token for the upstream cannot be made' })
  const mint = (kong: AccessKong, carried: Carried, keys: SigningKeys, now: number, bound: number): undefined => {
    const end = Math.max(Math.min(now + (options.ttl ?? usualTtl), Math.ceil(bound)), now + 1)
    const { kid, key } = keys.current(now)
    const text = signToken(
      { header: { alg: signingAlgorithm, typ: 'JWT', kid }, payload: { ...carried.claims, iat: now, exp: end } },
      signingAlgorithm,
      key,
    )
    carried.made = { text, until: now + Math.max(1, Math.floor((end - now) / 2)), keys }
    set(kong, text)
  }
  const set = (kong: AccessKong, text: string): undefined => {
    kong.service.request.set_header(header, isAuthorization ? `Bearer ${text}` : text)
  }
  return {
    header: header.toLowerCase(),
    carry: (claims, consumer) => ({ claims: carriedClaims(options, claims, consumer) }),
    put(kong, carried, now, bound) {
      const { made } = carried
      if (made !== undefined && now < made.until && made.keys.from.live) return set(kong, made.text)
      const keys = signingKeys(kong.entities, now)
      if (!(keys instanceof Promise)) return mint(kong, carried, keys, now, bound)
      return keys.then((late) => (late ? mint(kong, carried, late, now, bound) : unavailable))
    },
  }
}

function carriedClaims({ issuer, audience, claims: names = [] }: Options, claims: JsonObject, consumer: Entity | null) {
  const sub = textOf(claimAt(claims, ['sub'])) ?? consumer?.id
  const own = names.flatMap((name) => (Object.hasOwn(claims, name) ? [[name, claims[name]] as const] : []))
  return {
    ...Object.fromEntries(own),
    iss: issuer,
    ...(audience !== undefined && { aud: audience }),
    ...(sub !== undefined && { sub }),
    ...(consumer && {
      consumer: { id: consumer.id, username: consumer['username'], custom_id: consumer['custom_id'] },
    }),
  }
}

/** The set of public keys of those tokens; undefined where the config makes none. */
export function jwksDocument({ upstream_token: options }: Config, now: () => number): ServedDocument | undefined {
  if (options === undefined) return undefined
  const answer = (keys: SigningKeys | undefined): Answer =>
    keys ? jsonDocument(keys.published, jwksAgeSeconds) : { status: 503, headers: [], body: null }
  return {
    path: options.jwks_path ?? usualPath,
    answer(entities: Entities) {
      const keys = signingKeys(entities, now())
      return keys instanceof Promise ? keys.then(answer) : answer(keys)
    },
  }
}
