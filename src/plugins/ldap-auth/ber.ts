/**
 * The few elements of BER that a bind needs.
 * Source: RFC 4511 5.1; X.690 8.
 */

/** Tags, as they stand in the first byte. */
export const tag = {
  integer: 0x02,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
} as const

/** An element with a tag and a content. */
export function element(tag: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag, ...lengthOf(bytes.length)]), bytes])
}

export const octets = (text: string, ofTag: number = tag.octets): Buffer => element(ofTag, Buffer.from(text, 'utf8'))

/** A number from 0 to 2^31 - 1. */
export function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  let from = 0
  while (from < 3 && bytes[from] === 0 && (bytes[from + 1] as number) < 0x80) from++
  return element(tag.integer, bytes.subarray(from))
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff)
  return [0x80 | bytes.length, ...bytes]
}

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Where the next element begins. */
  readonly end: number
}

/** The element at a place; undefined while it is not whole. Throws where it is longer than `longest` bytes, or no BER of LDAP. */
export function read(bytes: Buffer, at: number, longest: number): Element | undefined {
  const first = bytes[at + 1]
  if (first === undefined) return undefined
  const digits = first < 0x80 ? 0 : first & 0x7f
  // RFC 4511 5.1: only definite lengths.
  if (first === 0x80 || digits > 4) throw new RangeError('no length that LDAP knows')
  const start = at + 2 + digits
  if (bytes.length < start) return undefined
  const length = digits === 0 ? first : bytes.readUIntBE(at + 2, digits)
  if (length > longest) throw new RangeError(`an element of ${length} bytes`)
  const end = start + length
  return bytes.length < end ? undefined : { tag: bytes[at] as number, content: bytes.subarray(start, end), end }
}

/** All elements in a content. Throws where it does not consist of whole ones. */
export function readAll(content: Buffer): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < content.length;) {
    const next = read(content, at, content.length)
    if (!next) throw new RangeError('an element is cut off')
    elements.push(next)
    at = next.end
  }
  return elements
}
