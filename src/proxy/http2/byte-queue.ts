/** Bytes that wait: however small the pieces in which they come, they take little more memory than they are. */

import { release } from '../growing.ts'

/** Blocks grow with what waits, from one of these sizes to the other; the first is as long as what it begins with. */
const leastBlockBytes = 512
const blockBytes = 4096

export class ByteQueue {
  length = 0
  /** Bytes of memory that it takes. */
  size = 0
  #blocks: Buffer[] = []
  /** What of the first block is gone already, and what of the last one is filled. */
  #start = 0
  #end = 0

  /** Adds a copy. Memory for what is `brief`, waiting for no client, may come from Node's pool. */
  append(bytes: Buffer, from: number, to: number, brief = false): void {
    this.length += to - from
    const last = this.#blocks.at(-1)
    if (last) {
      const copied = bytes.copy(last, this.#end, from, to)
      this.#end += copied
      from += copied
    }
    if (from === to) return
    const size = last ? Math.max(to - from, leastBlockBytes, Math.min(this.size, blockBytes)) : to - from
    const block = brief ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size)
    this.size += block.length
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
      this.size -= block.length
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

  /** Forgets what waits, and gives its memory back at once: nobody else may have a piece of it. */
  release(): void {
    for (const block of this.#blocks) release(block)
    this.clear()
  }

  clear(): void {
    this.length = 0
    this.size = 0
    this.#blocks = []
    this.#start = 0
  }
}
