/** Where WebSocket frames begin and end in a stream of bytes; their content is not looked at. Source: RFC 6455 5.2. */

export class FrameReader {
  /** Bytes of payload (and mask) left of the present frame. */
  #left = 0
  /** Bytes of the present frame's head that came so far, as far as they tell its length. */
  #head: number[] = []

  /** Whether the bytes read so far end where a frame ends. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#head.length === 0
  }

  /** Reads on over all bytes; gives their number. */
  read(bytes: Uint8Array, length: number): number {
    for (let at = 0; at < length;) at = this.#step(bytes, at, length)
    return length
  }

  /** Reads on until the first place where a frame ends; gives how many bytes that are. */
  untilBoundary(bytes: Uint8Array, length: number): number {
    let at = 0
    while (at < length && !this.atBoundary) at = this.#step(bytes, at, length)
    return at
  }

  #step(bytes: Uint8Array, at: number, length: number): number {
    if (this.#left > 0) {
      const taken = Math.min(this.#left, length - at)
      this.#left -= taken
      return at + taken
    }
    this.#head.push(bytes[at] as number)
    const size = payloadSize(this.#head)
    if (size === undefined) return at + 1
    this.#left = size + ((this.#head[1] as number) & 0x80 ? 4 : 0)
    this.#head = []
    return at + 1
  }
}

/** Bytes of a frame's payload by its head; undefined while that is not complete. */
function payloadSize(head: readonly number[]): number | undefined {
  if (head[1] === undefined) return undefined
  const short = head[1] & 0x7f
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  if (head.length < 2 + extended) return undefined
  return extended === 0 ? short : head.slice(2).reduce((size, byte) => size * 256 + byte, 0)
}
