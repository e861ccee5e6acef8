/**
 * The header by which a balancer in front tells whom it speaks for, versions 1 and 2.
 * Source: haproxy.org, "The PROXY protocol", sections 2.1 and 2.2.
 */
import { isIPv4, isIPv6 } from 'node:net'

/** The other end of the balancer's own connection. */
export interface ProxiedPeer {
  readonly address: string
  readonly port: number
}

export type ProxyHeader =
  /** More bytes are needed. */
  | { readonly state: 'partial' }
  | { readonly state: 'invalid'; readonly why: string }
  /** `peer` is undefined where the balancer speaks for itself or names nobody; the header took `bytes`. */
  | { readonly state: 'complete'; readonly bytes: number; readonly peer: ProxiedPeer | undefined }

const partial: ProxyHeader = { state: 'partial' }
const invalid = (why: string): ProxyHeader => ({ state: 'invalid', why })

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const text = Buffer.from('PROXY ', 'latin1')
const longestText = 107
const binaryHead = 16
/** A longer header of the second version is refused: its further fields are of no use here. */
const longestBinary = 4096

/** Reads the header at the beginning of what a connection sent. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, signature)) return bytes.length < binaryHead ? partial : readBinary(bytes)
  if (begins(bytes, text)) return readText(bytes)
  return invalid('no PROXY protocol header')
}

/** Whether the bytes begin as `prefix` does, as far as there are any. */
function begins(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.subarray(0, length).equals(prefix.subarray(0, length))
}

function readText(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, longestText).indexOf('\r\n')
  if (end === -1) return bytes.length < longestText ? partial : invalid('no end of line within 107 bytes')
  const line = bytes.toString('latin1', 0, end)
  const complete = { state: 'complete', bytes: end + 2 } as const
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return { ...complete, peer: undefined }
  const [, family, source, destination, sourcePort, destinationPort] =
    /^PROXY TCP([46]) ([\d.A-Fa-f:]+) ([\d.A-Fa-f:]+) (\d{1,5}) (\d{1,5})$/.exec(line) ?? []
  const isAddress = family === '4' ? isIPv4 : isIPv6
  if (!isAddress(source ?? '') || !isAddress(destination ?? '')) return invalid('malformed addresses')
  if (!isPort(sourcePort) || !isPort(destinationPort)) return invalid('malformed ports')
  return { ...complete, peer: { address: source as string, port: Number(sourcePort) } }
}

const isPort = (digits: string | undefined): boolean =>
  /^(?:0|[1-9]\d*)$/.test(digits ?? '') && Number(digits) <= 65_535

const local = 0x20
const proxied = 0x21

interface Family {
  /** Bytes of both addresses with their ports. */
  readonly bytes: number
  readonly peer: (addresses: Buffer) => ProxiedPeer | undefined
}

const families: Readonly<Record<number, Family>> = {
  /** Not told. */
  0x00: { bytes: 0, peer: () => undefined },
  /** TCP over IPv4. */
  0x11: { bytes: 12, peer: (from) => ({ address: from.subarray(0, 4).join('.'), port: from.readUInt16BE(8) }) },
  /** TCP over IPv6. */
  0x21: { bytes: 36, peer: (from) => ({ address: ipv6(from.subarray(0, 16)), port: from.readUInt16BE(32) }) },
  /** A socket file, which has no address. */
  0x31: { bytes: 216, peer: () => undefined },
}

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes[12]
  if (command !== local && command !== proxied) return invalid('unknown version or command')
  const size = binaryHead + bytes.readUInt16BE(14)
  if (size > longestBinary) return invalid(`longer than ${longestBinary} bytes`)
  const family = families[bytes[13] as number]
  // What the balancer says of itself, as in its checks, is passed over, whatever it is.
  if (command === proxied && !family) return invalid('unknown address family or transport')
  if (command === proxied && family && size < binaryHead + family.bytes) return invalid('too short for its addresses')
  if (bytes.length < size) return partial
  const peer = command === proxied ? family?.peer(bytes.subarray(binaryHead, size)) : undefined
  return { state: 'complete', bytes: size, peer }
}

/** As RFC 5952 writes it, and an IPv4 address in it as such. */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  const { hostname } = new URL(`http://[${groups.join(':')}]`)
  const mapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff'
  return mapped ? bytes.subarray(12).join('.') : hostname.slice(1, -1)
}
