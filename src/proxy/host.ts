/** The parts of a Host header's value (RFC 9110 7.2). */

/** A Host header without its port and a trailing dot, in lower case. */
export function hostName(host: string): string {
  const colon = host.lastIndexOf(':')
  const name = colon > host.lastIndexOf(']') ? host.slice(0, colon) : host
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()
}

/** The port in a Host header; undefined where it has none. */
export function hostPort(host: string): number | undefined {
  const colon = host.lastIndexOf(':')
  if (colon < 0 || colon < host.lastIndexOf(']')) return undefined
  const port = Number(host.slice(colon + 1))
  return Number.isInteger(port) && port > 0 && port <= 65535 ? port : undefined
}
