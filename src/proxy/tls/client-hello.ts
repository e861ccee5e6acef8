/**
 * The server name that a TLS client asks for, read before OpenSSL sees the connection: Node can change the certificate of a
 * connection that it has begun only to another single one, and a certificate may have an alternative of another type.
 * Source: RFC 8446 4.1.2 and 5.1, RFC 6066 3.
 */

export type ClientHello =
  /** More bytes are needed. */
  { readonly state: 'partial' } | Hello

export interface Hello {
  readonly state: 'complete'
  /** Nothing is taken off: whoever speaks TLS has to read it, too. */
  readonly bytes: 0
  /** Undefined where none is asked for, and where the bytes are no ClientHello. */
  readonly serverName: string | undefined
  /** Whether the bytes are a ClientHello to the last one; of others OpenSSL will say what is wrong. */
  readonly isWhole: boolean
}

const partial: ClientHello = { state: 'partial' }
const notWhole: Hello = { state: 'complete', bytes: 0, serverName: undefined, isWhole: false }

const handshakeRecord = 22
const recordHead = 5
const longestRecord = 16_384
const messageHead = 4
const clientHello = 1
/** Nobody needs so many; each one more would cost a stranger five bytes and us a step. */
const mostRecords = 32
/** A longer one gets the default certificate: real ones have some 2 KiB. */
const longestHello = 16_384

/** Looks for the server name in what a connection has sent so far. */
export function readClientHello(bytes: Buffer): ClientHello {
  const fragments: Buffer[] = []
  let length = 0
  for (let at = 0; fragments.length < mostRecords;) {
    if (at < bytes.length && bytes[at] !== handshakeRecord) return notWhole
    if (bytes.length < at + recordHead) return partial
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0 || size > longestRecord) return notWhole
    const fragment = bytes.subarray(at + recordHead, at + recordHead + size)
    fragments.push(fragment)
    length += fragment.length
    const needed = neededOf(fragments, length)
    if (needed > longestHello) return notWhole
    if (length >= needed) return helloOf(Buffer.concat(fragments, length).subarray(messageHead, needed))
    at += recordHead + size
  }
  return notWhole
}

/** The length of a handshake message with its head; more than may be where it is no ClientHello. */
function neededOf(fragments: readonly Buffer[], length: number): number {
  const [first] = fragments
  if (first !== undefined && first.length > 0 && first[0] !== clientHello) return Infinity
  if (length < messageHead) return messageHead
  const head = first !== undefined && first.length >= messageHead ? first : Buffer.concat(fragments, length)
  return messageHead + head.readUIntBE(1, 3)
}

/** Walks over the parts of a ClientHello, each of which has to end where the next one begins. */
function helloOf(hello: Buffer): Hello {
  const reader = new Reader(hello)
  // Version, random, session id, cipher suites, compression methods.
  reader.skip(2 + 32)
  reader.vector(1)
  reader.vector(2)
  reader.vector(1)
  let serverName: string | undefined
  let isWhole = !reader.failed
  // One that ends here has no extensions: TLS 1.2 allows that.
  const extensions = new Reader(reader.left > 0 ? reader.vector(2) : empty)
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type !== serverNameExtension || extensions.failed) continue
    // RFC 8446 4.2: there must not be more than one of a type.
    if (serverName === undefined) serverName = hostNameOf(content)
    else isWhole = false
    if (serverName === undefined) isWhole = false
  }
  isWhole &&= !reader.failed && reader.left === 0 && !extensions.failed
  return { state: 'complete', bytes: 0, serverName, isWhole }
}

const empty = Buffer.alloc(0)
const serverNameExtension = 0
const hostName = 0

/** RFC 6066 3: a list of one name, in ASCII. Undefined where it is anything else. */
function hostNameOf(extension: Buffer): string | undefined {
  const outer = new Reader(extension)
  const names = new Reader(outer.vector(2))
  const type = names.number(1)
  const name = names.vector(2).toString('latin1')
  const isOne = !outer.failed && outer.left === 0 && !names.failed && names.left === 0
  return isOne && type === hostName && visible.test(name) ? name : undefined
}

const visible = /^[\x21-\x7e]+$/

/** Reads forward, and reads nothing more once something does not fit. */
class Reader {
  failed = false
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  skip(count: number): void {
    if (count > this.left) this.#fail()
    else this.#at += count
  }

  number(size: 1 | 2): number {
    const at = this.#at
    this.skip(size)
    return this.failed ? 0 : this.#bytes.readUIntBE(at, size)
  }

  /** Bytes behind their own length, which takes `size` bytes. */
  vector(size: 1 | 2): Buffer {
    const length = this.number(size)
    const at = this.#at
    this.skip(length)
    return this.failed ? empty : this.#bytes.subarray(at, at + length)
  }

  #fail(): void {
    this.failed = true
    this.#at = this.#bytes.length
  }
}
