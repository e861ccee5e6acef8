/** Which consumer a token speaks for, where a claim says so rather than the credential. */
import { createHash } from 'node:crypto'
import type { EntityReader, Loaded } from '../../pdk/entities.ts'
import type { Answer } from '../../pdk/kong.ts'
import { invalidToken, type Refuse } from './answers.ts'
import { claimAt, type ClaimPath, textOf } from './claims.ts'
import { whileBothLive } from './issuers.ts'
import type { Config } from './ready.ts'
import type { JsonObject } from './token.ts'

export interface Who {
  find(entities: EntityReader, claims: JsonObject): Loaded | undefined
  /** What the claim says, where that is a text. */
  textIn(claims: JsonObject): string | undefined
  /** The consumer whom such a text names. */
  named(entities: EntityReader, text: string): Loaded | undefined
  /** Whether a token is good without a consumer. */
  readonly optional: boolean
  /** The answer where it is not. */
  readonly refusal: Answer
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/** Undefined where the config leaves it to the credential. */
export function whoOf(config: Config, refuse: Refuse): Who | undefined {
  const { consumer_claim: path, consumer_by = ['username', 'custom_id'], consumer_optional = false } = config
  if (!path && !consumer_optional) return undefined
  const message = `Could not find consumer for the given '${(path ?? []).join('.')}'`
  const textIn = (claims: JsonObject) => path && textOf(claimAt(claims, path))
  const named = (entities: EntityReader, text: string): Loaded | undefined => {
    for (const field of consumer_by) {
      const found = finders[field](entities, text)
      if (found) return found
    }
    return undefined
  }
  return {
    optional: consumer_optional,
    refusal: refuse('consumer', 401, { message }, invalidToken),
    textIn,
    named,
    find(entities, claims) {
      const text = textIn(claims)
      return text === undefined ? undefined : named(entities, text)
    },
  }
}

type Find = (entities: EntityReader, text: string) => Loaded | undefined

const finders: Readonly<Record<NonNullable<Config['consumer_by']>[number], Find>> = {
  id: byId,
  username: (entities, text) => entities.by('consumers', 'username', text),
  custom_id: (entities, text) => entities.by('consumers', 'custom_id', text),
  credential: ofCredential,
}

/** The consumer of the jwt credential with that key; no longer his when the credential changes. */
function ofCredential(entities: EntityReader, key: string): Loaded | undefined {
  const credential = entities.by('jwt_secrets', 'key', key)
  const reference = credential?.entity['consumer'] as { readonly id: string } | null | undefined
  const consumer = reference ? entities.get('consumers', reference.id) : undefined
  return credential && consumer && whileBothLive(consumer, credential)
}

function byId(entities: EntityReader, text: string): Loaded | undefined {
  return UUID.test(text) ? entities.get('consumers', text.toLowerCase()) : undefined
}

/** The claim that virtual credentials go by where the config names none. */
export const subject: ClaimPath = ['sub']

/**
 * What stands for a credential where there is no consumer: its id is that of issuer and the claim at `path`, so that limits and
 * logs can tell one from another. It lives as long as what verified the token.
 */
export function virtualCredential(path: ClaimPath, claims: JsonObject, verifiedWith: Loaded): Loaded {
  const textAt = (at: ClaimPath) => textOf(claimAt(claims, at)) ?? null
  const [iss, sub, key] = [textAt(['iss']), textAt(subject), textAt(path)]
  const id = createHash('sha256')
    .update(JSON.stringify([iss, key]))
    .digest('base64url')
  const entity = Object.freeze({ id, key, iss, sub })
  return {
    entity,
    get live() {
      return verifiedWith.live
    },
  }
}
