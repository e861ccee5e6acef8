/**
 * Keeps tokens that nobody sends twice from pushing each other through the memory, which costs more than verifying them: while
 * most tokens are of that kind, one may stay only when it comes a second time.
 */
export interface Newcomers {
  /** Whether tokens have to come twice from now on; that ends by itself when most of them do. */
  setStrict(strict: boolean): void
  mayStay(token: string): boolean
}

/** Tokens that come for the first time before it is asked whether waiting for the second is worth it. */
const firstTimes = 64 * 1024
/** A bit for each token tells that it has come. Where two share one, the later is remembered a time too early. */
const bits = 16 * firstTimes

export function createNewcomers(): Newcomers {
  let seen: Uint8Array | undefined
  let [first, second] = [0, 0]

  const begin = (strict: boolean): void => {
    seen = strict ? (seen?.fill(0) ?? new Uint8Array(bits / 8)) : undefined
    first = second = 0
  }

  return {
    setStrict(strict) {
      if (strict !== (seen !== undefined)) begin(strict)
    },
    mayStay(token) {
      if (seen === undefined) return true
      const place = chanceOf(token) % bits
      const bit = 1 << (place & 7)
      const byte = seen[place >> 3] as number
      if ((byte & bit) !== 0) {
        second++
        return true
      }
      seen[place >> 3] = byte | bit
      if (++first === firstTimes) begin(second < first / 2)
      return false
    },
  }
}

/** A number that is drawn by chance as well as a signature is, from its last characters; of the very last one not all bits are. */
export function chanceOf(token: string): number {
  let number = 0
  for (let at = Math.max(0, token.length - 5); at < token.length - 1; at++) number = number * 37 + token.charCodeAt(at)
  return number
}
