/** Where a connection comes from and goes to, as routes may ask for it. */
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { RoutingRequest } from './router.ts'
import type { ConnectionEnd } from './rule.ts'

/** A test of addresses for being one, or one of a range: `address` or `address/bits`. */
export function addressTest(wanted: string): (ip: string) => boolean {
  const [address = '', bits] = wanted.split('/')
  const list = new BlockList()
  if (bits === undefined) list.addAddress(address, familyOf(address))
  else list.addSubnet(address, Number(bits), familyOf(address))
  return (ip) => isIP(ip) !== 0 && list.check(ip, familyOf(ip))
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4')

/** A test of connections for both ends; an end of which nothing is asked may be any. Undefined where nothing is asked at all. */
export function connectionTest(
  sources: readonly ConnectionEnd[],
  destinations: readonly ConnectionEnd[],
): ((request: RoutingRequest) => boolean) | undefined {
  if (sources.length === 0 && destinations.length === 0) return undefined
  const from = sources.map(endTest)
  const to = destinations.map(endTest)
  return ({ clientIp = '', clientPort, serverIp = '', serverPort }) =>
    (from.length === 0 || from.some((test) => test(clientIp, clientPort))) &&
    (to.length === 0 || to.some((test) => test(serverIp, serverPort)))
}

function endTest({ ip, port }: ConnectionEnd): (address: string, port: number | undefined) => boolean {
  const holds = ip ? addressTest(ip) : undefined
  return (address, its) => (holds === undefined || holds(address)) && (typeof port !== 'number' || port === its)
}
