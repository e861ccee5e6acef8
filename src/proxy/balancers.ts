/** The balancers of all upstreams: one each, whichever services name it, so that what they send is counted together. */
import { emptyMap, type PersistentMap } from '../config/persistent-map.ts'
import type { Snapshot } from '../config/snapshot.ts'
import {
  type Balancer,
  type BalancerTools,
  compileTargets,
  type TargetFields,
  type UpstreamFields,
} from './balancer/balancer.ts'

/** By the id of the upstream. */
export type Balancers = PersistentMap<Balancer>

/** Compiles the balancers whose upstreams or targets have changed. */
export function compileBalancers(
  tools: BalancerTools,
  snapshot: Snapshot,
  previous?: { readonly snapshot: Snapshot; readonly balancers: Balancers },
): Balancers {
  const balancers = (previous?.balancers ?? emptyMap<Balancer>()).edit()
  for (const id of concerned(snapshot, previous?.snapshot)) {
    const upstream = snapshot.upstreams.get(id) as unknown as UpstreamFields | undefined
    const targets = [...(snapshot.by.targetsOfUpstream.get(id)?.values() ?? [])] as unknown as TargetFields[]
    if (upstream) balancers.set(id, compileTargets(tools, upstream, targets, balancers.get(id)))
    else balancers.delete(id)
  }
  return balancers.done()
}

function concerned(snapshot: Snapshot, last: Snapshot | undefined): ReadonlySet<string> {
  return new Set([
    ...snapshot.upstreams.changedSince(last?.upstreams ?? emptyMap()),
    ...snapshot.by.targetsOfUpstream.changedSince(last?.by.targetsOfUpstream ?? emptyMap()),
  ])
}
