/**
 * The acl plugin: lets a request through, or not, by the groups of its Consumer.
 * Source: Kong's docs, "ACL".
 */
import type { LoadedList } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin } from '../../pdk/plugin.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Ready {
  readonly listed: ReadonlySet<string>
  /** Whether the listed groups are those that are let through. */
  readonly allows: boolean
  readonly hidesGroups: boolean
  readonly prefersAuthenticated: boolean
}

interface Groups {
  readonly names: readonly string[]
  /** The header that tells the upstream. */
  readonly header: 'X-Consumer-Groups' | 'X-Authenticated-Groups'
}

export default definePlugin<Config, Ready>({
  version: '3.10.0',
  priority: 950,
  prepare({ allow, deny, hide_groups_header, always_use_authenticated_groups }) {
    const denied = deny ?? []
    return {
      listed: new Set(denied.length > 0 ? denied : allow),
      allows: denied.length === 0,
      hidesGroups: hide_groups_header,
      prefersAuthenticated: always_use_authenticated_groups,
    }
  },
  access(kong, ready) {
    const groups = groupsOf(kong, ready)
    if (groups === undefined) return refuse(kong)
    const isListed = groups.names.some((name) => ready.listed.has(name))
    if (isListed !== ready.allows) return kong.response.error(403, forbidden)
    if (!ready.hidesGroups) kong.service.request.set_header(groups.header, groups.names.join(', '))
    return undefined
  },
})

const forbidden = 'You cannot consume this service'

/** Nobody in particular is asked to authenticate; somebody without groups is refused. */
const refuse = (kong: AccessKong): Answer =>
  kong.client.get_credential() === null ? kong.response.error(401) : kong.response.error(403, forbidden)

/** The groups that count; undefined where a request has none, and that alone decides. */
function groupsOf(kong: AccessKong, { allows, prefersAuthenticated }: Ready): Groups | undefined {
  const { client } = kong
  const consumer = client.get_consumer()
  const authenticated =
    consumer === null || client.get_credential() === null || prefersAuthenticated
      ? authenticatedGroups(kong)
      : undefined
  if (authenticated) return { names: authenticated, header: 'X-Authenticated-Groups' }
  if (consumer === null) return undefined
  const names = namesOf(kong.entities.referring('acls', 'consumer', consumer.id))
  return names.length === 0 && allows ? undefined : { names, header: 'X-Consumer-Groups' }
}

/** What other plugins found, such as a token's or a session's groups. */
function authenticatedGroups({ ctx }: AccessKong): readonly string[] | undefined {
  const groups = ctx.shared['authenticated_groups']
  return Array.isArray(groups) ? groups.map(String) : undefined
}

/** The groups' names by the list that they were read from, which is the same object while nothing of it changes. */
const remembered = new WeakMap<LoadedList, readonly string[]>()

function namesOf(list: LoadedList): readonly string[] {
  const known = remembered.get(list)
  if (known) return known
  const names = list.entities.map((entity) => String(entity['group']))
  remembered.set(list, names)
  return names
}
