import { readFileSync } from 'node:fs'
import { type Address, literal } from './address.ts'

/** The names of a hosts file in lower case, each with its addresses. A file that cannot be read has no names. */
export function readHosts(file: string): ReadonlyMap<string, readonly Address[]> {
  try {
    return parseHosts(readFileSync(file, 'utf8'))
  } catch {
    return parseHosts('')
  }
}

/** As `readHosts`, from the file's text. `localhost` is always there (RFC 6761 6.3). Source: hosts(5). */
export function parseHosts(text: string): ReadonlyMap<string, readonly Address[]> {
  const hosts = new Map<string, Address[]>()
  for (const line of text.split('\n')) {
    const [first = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const address = literal(first)
    if (address) for (const name of names) add(hosts, name.toLowerCase(), address)
  }
  if (!hosts.has('localhost')) hosts.set('localhost', [loopback4, loopback6])
  return hosts
}

const loopback4: Address = { address: '127.0.0.1', family: 4 }
const loopback6: Address = { address: '::1', family: 6 }

function add(hosts: Map<string, Address[]>, name: string, address: Address): void {
  const known = hosts.get(name)
  if (!known) hosts.set(name, [address])
  else if (!known.some((other) => other.address === address.address)) known.push(address)
}
