import { randomFillSync } from 'node:crypto'

const idBytes = 16
const block = Buffer.alloc(idBytes * 512)
let at = block.length

/** A new request id: 32 hexadecimal digits of chance, as Kong's. Chance is drawn for many at a time. */
export function nextRequestId(): string {
  if (at === block.length) {
    randomFillSync(block)
    at = 0
  }
  at += idBytes
  return block.toString('hex', at - idBytes, at)
}
