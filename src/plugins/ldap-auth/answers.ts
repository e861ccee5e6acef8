/**
 * What a directory said of passwords, for a while. Passwords are not kept, only hashes that are worth nothing in another process.
 * What was refused is remembered apart and in less room, so that a flood of guesses pushes nobody out.
 */
import { createHmac, randomBytes } from 'node:crypto'

const mostAccepted = 10_000
const mostRefused = 2000

export interface Answers {
  /** What was said, or asks and remembers it; a question that is being asked is not asked again. */
  ask(username: string, password: string, question: () => Promise<boolean>): boolean | Promise<boolean>
}

/** A memory of answers for `ttl` seconds; `now` is in seconds. */
export function createAnswers(ttl: number, now: () => number): Answers {
  const salt = randomBytes(32)
  /** When each was said. */
  const accepted = new Map<string, number>()
  const refused = new Map<string, number>()
  const asked = new Map<string, Promise<boolean>>()

  const isFresh = (said: Map<string, number>, key: string): boolean => {
    const at = said.get(key)
    if (at === undefined) return false
    if (now() - at < ttl) return true
    said.delete(key)
    return false
  }
  const remember = (said: Map<string, number>, key: string, most: number): void => {
    said.set(key, now())
    for (const oldest of said.keys()) {
      if (said.size <= most) return
      said.delete(oldest)
    }
  }
  return {
    ask(username, password, question) {
      const key = createHmac('sha256', salt)
        .update(`${Buffer.byteLength(username)}:${username}${password}`)
        .digest('base64')
      if (isFresh(accepted, key)) return true
      if (isFresh(refused, key)) return false
      const known = asked.get(key)
      if (known) return known
      const answer = question()
        .then((isRight) => {
          if (isRight) remember(accepted, key, mostAccepted)
          else remember(refused, key, mostRefused)
          return isRight
        })
        .finally(() => asked.delete(key))
      asked.set(key, answer)
      return answer
    },
  }
}
