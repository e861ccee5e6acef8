/** Bytes that come piece by piece and have to lie together, and how their memory is given back at once. */

/**
 * Writes `bytes[from..to]` behind the first `length` bytes of `kept`: into `kept` itself where there is room, else into a longer copy.
 * Gives the one that it was. However small the pieces are, each byte is copied a few times at most.
 */
export function grown(kept: Buffer, length: number, bytes: Buffer, from: number, to: number): Buffer {
  const needed = length + to - from
  let whole = kept
  if (needed > kept.length) {
    whole = Buffer.allocUnsafeSlow(needed + Math.max(64, needed >> 2))
    kept.copy(whole, 0, 0, length)
  }
  bytes.copy(whole, length, from, to)
  return whole
}

/** A copy in memory of its own. What is cut from Node's pool keeps 64 KiB of it alive, however little it is. */
export function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(to - from)
  bytes.copy(copy, 0, from, to)
  return copy
}

/**
 * Gives the memory of bytes back at once. A garbage collection comes late to what lies outside the heap: under attack as much again
 * would wait for it. The bytes are gone for everybody who has them; a part of a larger buffer stays.
 */
export function release(bytes: Buffer): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0)
}
