/** Who the client is, where trusted proxies stand between. Source: Kong's docs, `trusted_ips`, `real_ip_header`, `real_ip_recursive`. */
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { Head } from './http1/head.ts'
import { allValues } from './http1/lines.ts'
import type { ProxiedPeer } from './proxy-protocol.ts'
import type { Runtime } from './runtime.ts'

/** Tells whether an address is in one of these ranges (`10.0.0.0/8`, `::/0`, single addresses). */
export function addressSet(ranges: readonly string[]): (address: string) => boolean {
  // Kong's `unix:` means peers on sockets of files, on which nothing listens here.
  const addresses = ranges.filter((range) => range !== 'unix:')
  if (addresses.length === 0) return () => false
  const list = new BlockList()
  for (const range of addresses) {
    const [address = '', bits] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

type Trust = Pick<Runtime, 'isTrusted' | 'realIpHeader' | 'realIpRecursive'>

interface Ends {
  readonly remoteAddress: string
  readonly proxied?: ProxiedPeer | undefined
}

/**
 * The client's address: the connection's other end, or whom it names in the real IP header, or in that of the PROXY protocol,
 * if it may be trusted.
 */
export function clientAddress(trust: Trust, { remoteAddress, proxied }: Ends, head: Head): string {
  if (!trust.isTrusted(remoteAddress)) return remoteAddress
  if (trust.realIpHeader === 'proxy_protocol') return proxied?.address ?? remoteAddress
  const named = allValues(head, trust.realIpHeader)
    .join(',')
    .split(',')
    .map((part) => withoutPort(part.trim()))
  for (let at = named.length - 1; at >= 0; at--) {
    const address = named[at] as string
    if (isIP(address) === 0) break
    if (!trust.realIpRecursive || at === 0 || !trust.isTrusted(address)) return address
  }
  return remoteAddress
}

function withoutPort(text: string): string {
  if (text.startsWith('[')) return text.slice(1, text.indexOf(']'))
  return text.indexOf(':') === text.lastIndexOf(':') ? (text.split(':')[0] ?? '') : text
}
