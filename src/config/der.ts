/** Just enough of ASN.1's distinguished encoding rules (ITU-T X.690) to write a certificate. */

/** A value with its tag and length before it. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), length(content.length), content])
}

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes])
  const hex = bytes.toString(16)
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits])
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
export const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts)
export const octets = (content: Uint8Array): Buffer => der(0x04, content)
export const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text))
export const isTrue = (): Buffer => der(0x01, Buffer.from([0xff]))
/** A string of whole bytes of bits. */
export const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.from([0]), content)
/** Some bits by name, the first being the highest of the first byte. */
export const namedBits = (byte: number, unused: number): Buffer => der(0x03, Buffer.from([unused, byte]))
/** `[number]` around other values. */
export const tagged = (number: number, ...parts: readonly Uint8Array[]): Buffer => der(0xa0 | number, ...parts)
/** `[number]` in place of a plain value's own tag. */
export const implicit = (number: number, content: Uint8Array): Buffer => der(0x80 | number, content)

/** A number that is not negative, from its bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let from = 0
  while (from < bytes.length - 1 && bytes[from] === 0) from++
  const significant = bytes.subarray(from)
  return (significant[0]! & 0x80) === 0 ? der(0x02, significant) : der(0x02, Buffer.from([0]), significant)
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const digits = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80)
  return digits
}

/** A point in time to the second; RFC 5280 4.1.2.5 asks for the short form before 2050. */
export function time(ms: number): Buffer {
  const digits = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '')
  return Number(digits.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
