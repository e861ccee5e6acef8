/**
 * Header blocks: fields as HTTP/2 compresses them.
 * Source: RFC 7541.
 */
import { decodeHuffman } from './huffman.ts'
import { staticTable, type Field } from './static-table.ts'

/** The fields of one block. */
export interface Fields {
  /** Names and values in turn, one character a byte. */
  readonly list: readonly string[]
  /** Whether there were more bytes than allowed; the list is then not complete. */
  readonly tooLarge: boolean
}

/** Bytes of the dynamic table; the other end may use as much until it is told otherwise. */
const tableBytes = 4096
/** What a field takes in the table besides its bytes (RFC 7541 4.1). */
const fieldOverhead = 32

const nothing = new Uint8Array()

/** Reads the header blocks of one connection, in their order. */
export class HeaderDecoder {
  /** The newest field is the last. */
  #table: Field[] = []
  #size = 0
  #max = tableBytes
  #bytes: Uint8Array = nothing
  #at = 0
  #end = 0

  /** The fields of the block at `start..end`; undefined where it is not valid, after which no block of the connection can be read. */
  decode(bytes: Buffer, start: number, end: number, maxBytes: number): Fields | undefined {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    const list: string[] = []
    let length = 0
    while (this.#at < end) {
      const first = bytes[this.#at] as number
      if ((first & 0xe0) === 0x20) {
        // RFC 7541 4.2: the table's size changes at the beginning of a block only.
        if (list.length > 0 || !this.#resize()) return undefined
        continue
      }
      const field = first & 0x80 ? this.#known(this.#integer(7)) : this.#literal(first)
      if (field === undefined) return undefined
      length += field.name.length + field.value.length + 4
      // The rest is read all the same: the table has to stay that of the other end.
      if (length <= maxBytes) list.push(field.name, field.value)
    }
    this.#bytes = nothing
    return { list, tooLarge: length > maxBytes }
  }

  #resize(): boolean {
    const size = this.#integer(5)
    if (size < 0 || size > tableBytes) return false
    this.#max = size
    this.#evict()
    return true
  }

  #known(index: number): Field | undefined {
    if (index <= 0) return undefined
    return staticTable[index] ?? this.#table[this.#table.length - 1 - (index - staticTable.length)]
  }

  #literal(first: number): Field | undefined {
    const indexed = (first & 0xc0) === 0x40
    const index = this.#integer(indexed ? 6 : 4)
    if (index < 0) return undefined
    const name = index === 0 ? this.#string() : this.#known(index)?.name
    const value = name === undefined ? undefined : this.#string()
    if (name === undefined || value === undefined) return undefined
    const field = { name, value }
    if (indexed) {
      this.#table.push(field)
      this.#size += sizeOf(field)
      this.#evict()
    }
    return field
  }

  #evict(): void {
    let gone = 0
    while (this.#size > this.#max) this.#size -= sizeOf(this.#table[gone++] as Field)
    if (gone > 0) this.#table.splice(0, gone)
  }

  /** A number in the low bits of this byte and, if they do not suffice, the next ones (RFC 7541 5.1); -1 where it is not valid. */
  #integer(bits: number): number {
    const mask = (1 << bits) - 1
    let value = (this.#bytes[this.#at++] as number) & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) return -1
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return -1
  }

  #string(): string | undefined {
    if (this.#at >= this.#end) return undefined
    const coded = ((this.#bytes[this.#at] as number) & 0x80) !== 0
    const length = this.#integer(7)
    const start = this.#at
    if (length < 0 || length > this.#end - start) return undefined
    this.#at += length
    if (coded) return decodeHuffman(this.#bytes, start, this.#at)
    return (this.#bytes as Buffer).toString('latin1', start, this.#at)
  }
}

const sizeOf = ({ name, value }: Field): number => name.length + value.length + fieldOverhead

// ---- writing

/**
 * Begins the first block of a connection: the table of the other end is not used (RFC 7541 6.3). So blocks can be written without
 * regard to what else is written, and a connection keeps no memory for it.
 */
export const withoutTable = '\x20'

const numberOfName = new Map(
  staticTable
    .map(({ name }, number) => [name, number] as const)
    .slice(1)
    .reverse(),
)
const whole = new Map(
  staticTable.flatMap(({ name, value }, number) =>
    value === '' ? [] : [[`${name} ${value}`, String.fromCharCode(0x80 | number)] as const],
  ),
)
/** No table anywhere on the way may keep these (RFC 7541 7.1.3). */
const secret = new Set(['authorization', 'cookie', 'set-cookie', 'proxy-authorization'])

/** A field as it goes into a header block; `name` in lower case, both one character a byte. */
export function encodeField(name: string, value: string): string {
  if (name.charCodeAt(0) === 0x3a) {
    const known = whole.get(`${name} ${value}`)
    if (known !== undefined) return known
  }
  const flags = secret.has(name) ? 0x10 : 0
  const number = numberOfName.get(name)
  const start = number === undefined ? String.fromCharCode(flags) + encodeString(name) : integer(number, 4, flags)
  return start + encodeString(value)
}

const encodeString = (text: string): string => integer(text.length, 7, 0) + text

function integer(value: number, bits: number, flags: number): string {
  const mask = (1 << bits) - 1
  if (value < mask) return String.fromCharCode(flags | value)
  let text = String.fromCharCode(flags | mask)
  let rest = value - mask
  for (; rest > 0x7f; rest >>>= 7) text += String.fromCharCode((rest & 0x7f) | 0x80)
  return text + String.fromCharCode(rest)
}
