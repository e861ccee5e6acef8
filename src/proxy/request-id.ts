import { randomFillSync } from 'node:crypto'

const digits = 32
const block = Buffer.alloc(512 * (digits / 2))
let drawn = ''
let at = 0

/** A new request id: 32 hexadecimal digits of chance, as Kong's. Chance is drawn for many at a time. */
export function nextRequestId(): string {
  if (at === drawn.length) {
    drawn = randomFillSync(block).toString('hex')
    at = 0
  }
  at += digits
  return drawn.slice(at - digits, at)
}
