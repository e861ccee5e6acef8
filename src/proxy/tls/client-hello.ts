/**
 * The server name that a TLS client asks for, read before OpenSSL sees the connection: Node can change the certificate of a
 * connection that it has begun only to another single one, and a certificate may have an alternative of another type.
 * Source: RFC 8446 4.1.2 and 5.1, RFC 6066 3.
 */

export type ClientHello =
  /** More bytes are needed. */
  | { readonly state: 'partial' }
  /** `serverName` is undefined where none is asked for, and where the bytes are no ClientHello, which OpenSSL will say. */
  | { readonly state: 'complete'; readonly bytes: 0; readonly serverName: string | undefined }

const partial: ClientHello = { state: 'partial' }
const named = (serverName: string | undefined): ClientHello => ({ state: 'complete', bytes: 0, serverName })

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
    if (at < bytes.length && bytes[at] !== handshakeRecord) return named(undefined)
    if (bytes.length < at + recordHead) return partial
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0 || size > longestRecord) return named(undefined)
    const fragment = bytes.subarray(at + recordHead, at + recordHead + size)
    fragments.push(fragment)
    length += fragment.length
    const needed = neededOf(fragments, length)
    if (needed > longestHello) return named(undefined)
    if (length >= needed) return named(serverNameOf(Buffer.concat(fragments, length).subarray(messageHead, needed)))
    at += recordHead + size
  }
  return named(undefined)
}

/** The length of a handshake message with its head; more than may be where it is no ClientHello. */
function neededOf(fragments: readonly Buffer[], length: number): number {
  const [first] = fragments
  if (first !== undefined && first.length > 0 && first[0] !== clientHello) return Infinity
  if (length < messageHead) return messageHead
  const head = first !== undefined && first.length >= messageHead ? first : Buffer.concat(fragments, length)
  return messageHead + head.readUIntBE(1, 3)
}

/** Walks over the parts of a ClientHello; undefined where one does not fit the next. */
function serverNameOf(hello: Buffer): string | undefined {
  const reader = new Reader(hello)
  // Version, random, session id, cipher suites, compression methods.
  reader.skip(2 + 32)
  reader.vector(1)
  reader.vector(2)
  reader.vector(1)
  const extensions = new Reader(reader.vector(2))
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === serverNameExtension) return hostNameOf(new Reader(new Reader(content).vector(2)))
  }
  return undefined
}

const serverNameExtension = 0
const hostName = 0

function hostNameOf(names: Reader): string | undefined {
  const type = names.number(1)
  const name = names.vector(2).toString('latin1')
  return type === hostName && name !== '' ? name : undefined
}

/** Reads forward, and reads nothing more once something does not fit. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  skip(count: number): void {
    this.#at = count > this.left ? this.#bytes.length : this.#at + count
  }

  number(size: 1 | 2): number {
    if (size > this.left) {
      this.skip(size)
      return -1
    }
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  /** Bytes behind their own length, which takes `size` bytes. */
  vector(size: 1 | 2): Buffer {
    const length = this.number(size)
    const content = this.#bytes.subarray(this.#at, this.#at + Math.max(0, length))
    this.skip(length < 0 ? this.left : length)
    return content.length === length ? content : Buffer.alloc(0)
  }
}
