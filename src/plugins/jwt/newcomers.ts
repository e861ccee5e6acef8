/**
 * Keeps tokens that nobody sends twice from pushing each other through the memory, which costs more than verifying them: while
 * most tokens are of that kind, one may stay only when it comes a second time.
 */
import { ChanceSet } from './chance.ts'

export interface Newcomers {
  /** Whether tokens have to come twice from now on; that ends by itself when most of them do. */
  setStrict(strict: boolean): void
  /** Whether the token of this chance may stay. Where two share one, the later is remembered a time too early. */
  mayStay(chance: number): boolean
}

/** Tokens that come for the first time before it is asked whether waiting for the second is worth it. */
const firstTimes = 64 * 1024

export function createNewcomers(): Newcomers {
  const seen = new ChanceSet()
  let isStrict = false
  let [first, second] = [0, 0]

  const begin = (strict: boolean): void => {
    isStrict = strict
    seen.clear()
    first = second = 0
  }

  return {
    setStrict(strict) {
      if (strict !== isStrict) begin(strict)
    },
    mayStay(chance) {
      if (!isStrict) return true
      if (seen.has(chance)) {
        second++
        return true
      }
      seen.add(chance)
      if (++first === firstTimes) begin(second < first / 2)
      return false
    },
  }
}
