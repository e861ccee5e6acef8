/**
 * A set of ids, millions of them: UUIDs as they are made (lower case) take 16 bytes and a free place beside them, whatever else is
 * given for an id stands in a set of texts.
 */
export class IdSet {
  /** Four words for each place; a free one is all zeros. */
  #places = new Uint32Array(4 * 64)
  #taken = 0
  readonly #others = new Set<string>()

  has(id: string): boolean {
    return readWords(id) ? this.#placeOf().isTaken : this.#others.has(id)
  }

  /** Adds an id; whether it was not there. */
  add(id: string): boolean {
    if (8 * this.#taken >= this.#places.length) this.#grow()
    if (!readWords(id)) return this.#others.size !== this.#others.add(id).size
    const { at, isTaken } = this.#placeOf()
    if (isTaken) return false
    this.#places.set(words, at)
    this.#taken++
    return true
  }

  /** Where the id stands whose words were read last, or would. */
  #placeOf(): { readonly at: number; readonly isTaken: boolean } {
    const places = this.#places
    const [a, b, c, d] = words as unknown as [number, number, number, number]
    const mask = places.length / 4 - 1
    for (let place = mixed(a ^ b ^ c ^ d) & mask; ; place = (place + 1) & mask) {
      const at = 4 * place
      if (places[at] === a && places[at + 1] === b && places[at + 2] === c && places[at + 3] === d)
        return { at, isTaken: true }
      if (places[at] === 0 && places[at + 1] === 0 && places[at + 2] === 0 && places[at + 3] === 0)
        return { at, isTaken: false }
    }
  }

  #grow(): void {
    const old = this.#places
    this.#places = new Uint32Array(2 * old.length)
    for (let at = 0; at < old.length; at += 4) {
      words.set(old.subarray(at, at + 4))
      if (words.some((word) => word !== 0)) this.#places.set(words, this.#placeOf().at)
    }
  }
}

/** The id that was read last. */
const words = new Uint32Array(4)

const dash = 0x2d

/** Reads a UUID into `words`; not where it is none in lower case, or nothing but zeros. */
function readWords(id: string): boolean {
  if (id.length !== 36) return false
  let word = 0
  let digits = 0
  let any = 0
  for (let at = 0; at < 36; at++) {
    const code = id.charCodeAt(at)
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (code !== dash) return false
      continue
    }
    const isDigit = code >= 0x30 && code <= 0x39
    if (!isDigit && (code < 0x61 || code > 0x66)) return false
    word = (word << 4) | (isDigit ? code - 0x30 : code - 0x57)
    if (++digits % 8 > 0) continue
    words[digits / 8 - 1] = word
    any |= word
    word = 0
  }
  return any !== 0
}

/** Ids that are counted upwards differ in their last bits only. */
function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return once ^ (once >>> 15)
}
