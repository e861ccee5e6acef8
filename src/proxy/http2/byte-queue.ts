/** Bytes that wait: however small the pieces in which they come, they take little more memory than they are. */

const blockBytes = 4096

export class ByteQueue {
  length = 0
  #blocks: Buffer[] = []
  /** What of the first block is gone already, and what of the last one is filled. */
  #start = 0
  #end = 0

  append(bytes: Buffer, from: number, to: number): void {
    this.length += to - from
    const last = this.#blocks.at(-1)
    if (last) {
      const copied = bytes.copy(last, this.#end, from, to)
      this.#end += copied
      from += copied
    }
    if (from === to) return
    const block = Buffer.allocUnsafeSlow(Math.max(blockBytes, to - from))
    this.#end = bytes.copy(block, 0, from, to)
    this.#blocks.push(block)
  }

  /** Gives up to `most` bytes to `use`, and is done with them; how many they were. */
  take(most: number, use: (bytes: Buffer, from: number, to: number) => void): number {
    const block = this.#blocks[0]
    if (block === undefined) return 0
    const from = this.#start
    const to = Math.min(from + most, this.#blocks.length === 1 ? this.#end : block.length)
    this.#start = to
    this.length -= to - from
    if (to === block.length || this.length === 0) {
      this.#blocks.shift()
      this.#start = 0
    }
    use(block, from, to)
    return to - from
  }

  /** All that waits, in order. */
  pieces(): Buffer[] {
    const last = this.#blocks.length - 1
    return this.#blocks.map((block, at) =>
      block.subarray(at === 0 ? this.#start : 0, at === last ? this.#end : block.length),
    )
  }

  clear(): void {
    this.length = 0
    this.#blocks = []
    this.#start = 0
  }
}
