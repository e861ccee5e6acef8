/** What is drawn by chance about a token, to find it by without hashing all of its text. */

/** A number of 32 bits that is drawn by chance as well as a signature is, from its last characters. */
export function chanceOf(token: string): number {
  let number = 0
  for (let at = Math.max(0, token.length - 7); at < token.length; at++)
    number = Math.imul(number ^ token.charCodeAt(at), 0x9e3779b1)
  return (number ^ (number >>> 15)) >>> 0
}

const bits = 2 ** 20

/** Which chances have come: a bit for each. What was never added is hardly ever thought to have been. */
export class ChanceSet {
  readonly #bytes = new Uint8Array(bits / 8)

  has(chance: number): boolean {
    const place = chance % bits
    return ((this.#bytes[place >> 3] as number) & (1 << (place & 7))) !== 0
  }

  add(chance: number): void {
    const place = chance % bits
    const byte = place >> 3
    this.#bytes[byte] = (this.#bytes[byte] as number) | (1 << (place & 7))
  }

  clear(): void {
    this.#bytes.fill(0)
  }
}
