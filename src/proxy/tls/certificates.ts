/** Which certificate a client is shown. Source: Kong's docs, "Certificates" and "SNIs". */
import type { Snapshot } from '../../config/snapshot.ts'
import type { Entity } from '../../pdk/entities.ts'

/** The names of SNI entities that are looked for when a client asks for a server name, the most telling first. */
export function sniNames(serverName: string): readonly string[] {
  const name = serverName.toLowerCase().replace(/\.$/, '')
  const first = name.indexOf('.')
  const last = name.lastIndexOf('.')
  const names = [name]
  // A wildcard stands for one label, and at the left only where two more follow.
  if (first !== last) names.push(`*${name.slice(first)}`)
  if (last !== -1) names.push(`${name.slice(0, last)}.*`)
  return [...names, '*']
}

/** The certificate that a configuration has for a server name; undefined where the settings' own is to be shown. */
export function certificateFor(snapshot: Snapshot, serverName: string): Entity | undefined {
  for (const name of sniNames(serverName)) {
    const [sni] = snapshot.by.snisOfName.get(name)?.values() ?? []
    const id = (sni?.['certificate'] as { readonly id: string } | null | undefined)?.id
    const certificate = id === undefined ? undefined : snapshot.certificates.get(id)
    if (certificate) return certificate
  }
  return undefined
}
