/**
 * Tokens that are good once, by their `jti`. A use is a durable entry of the store whose key is unique: so it is exact over all
 * workers and all nodes of a store, and over restarts, and it is gone when the token has ended.
 */
import type { Entities, EntityReader } from '../../pdk/entities.ts'
import type { Answer } from '../../pdk/kong.ts'
import { invalidToken, type Refuse } from './answers.ts'
import type { Config } from './ready.ts'
import { jwt_uses, useKey } from './uses-schema.ts'

export interface SingleUse {
  /** Uses a token up; the answer where it was used before, or where that cannot be written down. `now` is in seconds since 1970. */
  use(entities: Entities, key: string, exp: number, now: number): Promise<Answer | undefined>
  /** Whether a token was used, without using it. */
  isUsed(entities: EntityReader, key: string): boolean
  readonly used: Answer
}

/** Undefined where the config lets tokens be used again. */
export function singleUseOf({ single_use: isOn, leeway = 0, mode }: Config, refuse: Refuse): SingleUse | undefined {
  if (!isOn) return undefined
  const used = refuse('used', 401, { message: 'Token was used before' }, invalidToken)
  const unavailable = refuse('unavailable', 503, { message: 'Whether the token was used before cannot be told' })
  /** Uses that are only observed are written down apart, lest a token be refused elsewhere for them. */
  const written = (key: string) => (mode === 'observe' ? useKey(['observed', key]) : key)
  const isUsed = (entities: EntityReader, key: string) => entities.by(jwt_uses.name, 'key', key) !== undefined
  return {
    used,
    isUsed,
    async use(entities, name, exp, now) {
      const key = written(name)
      if (isUsed(entities, name) || isUsed(entities, key)) return used
      // A second more than its time, since times are compared in whole seconds.
      const ttl = Math.min(Math.max(1, Math.ceil(exp - now + leeway) + 1), 3_153_600_000)
      const answer = await entities.write([{ do: 'insert', kind: jwt_uses.name, entity: { key, ttl } }])
      if (answer.ok) return undefined
      return answer.reason === 'refused' ? used : unavailable
    },
  }
}
