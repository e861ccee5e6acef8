import { hash as digest } from 'node:crypto'

/** The UUID of a name within a namespace (RFC 9562, version 5): the same name always gives the same id. */
export function uuidOfName(namespace: string, name: string): string {
  const hex = digest('sha1', Buffer.concat([bytesOf(namespace), Buffer.from(name)]), 'hex')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Names come by the million, namespaces by the dozen. */
const known = new Map<string, Buffer>()

function bytesOf(namespace: string): Buffer {
  const bytes = known.get(namespace) ?? Buffer.from(namespace.replaceAll('-', ''), 'hex')
  if (known.size < 1000) known.set(namespace, bytes)
  return bytes
}
