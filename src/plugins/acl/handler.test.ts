import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityOf } from '../../pdk/identity.ts'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong } from '../../pdk/testing.ts'
import acl, { type Config } from './handler.ts'

const defaults: Config = { allow: null, deny: null, hide_groups_header: false, always_use_authenticated_groups: false }
const credential = { id: 'credential' }
const consumers = {
  staff: { id: 'staff', username: 'staff' },
  both: { id: 'both', username: 'both' },
  none: { id: 'none', username: 'none' },
}

const entities = testEntities()
const membership = (id: string, group: string) =>
  entities.put('acls', { id: `${id}-${group}`, group, consumer: { id } })
membership('staff', 'staff')
membership('both', 'staff')
membership('both', 'users')

interface Situation {
  readonly who?: keyof typeof consumers
  readonly anonymous?: boolean
  /** An identity without a consumer, as a directory's. */
  readonly stranger?: boolean
  readonly found?: unknown
}

/** The status of a refusal, or the header that the upstream gets. */
function verdict(config: Partial<Config>, { who, anonymous, stranger, found }: Situation): string | number {
  const kong = testKong({}, entities)
  if (who) kong.client.authenticate(identityOf(consumers[who], anonymous ? null : credential, 'x'))
  if (stranger) kong.client.authenticate(identityOf(null, credential, 'x'))
  if (found !== undefined) kong.ctx.shared['authenticated_groups'] = found
  const ready = acl.prepare({ ...defaults, ...config }, { id: 'p', name: 'acl' })
  const answer = acl.access!(kong, ready) as Answer | undefined
  if (answer) return answer.status
  const [header] = [...kong.upstreamHeaders].map(([name, values]) => `${name}: ${values?.join()}`)
  return header ?? 'no header'
}

const allow = { allow: ['staff', 'admin'] }
const deny = { deny: ['staff'] }

const rows: readonly (readonly [
  name: string,
  config: Partial<Config>,
  situation: Situation,
  verdict: string | number,
])[] = [
  ['a member is allowed', allow, { who: 'staff' }, 'x-consumer-groups: staff'],
  ['all groups are told, also those that are not listed', allow, { who: 'both' }, 'x-consumer-groups: staff, users'],
  ['who is in no group is not allowed', allow, { who: 'none' }, 403],
  ['who is in other groups is not allowed', { allow: ['admin'] }, { who: 'both' }, 403],
  ['a member is denied', deny, { who: 'both' }, 403],
  ['who is in no group is not denied', deny, { who: 'none' }, 'x-consumer-groups: '],
  ['who is in other groups is not denied', { deny: ['admin'] }, { who: 'staff' }, 'x-consumer-groups: staff'],
  ['groups can be hidden', { ...allow, hide_groups_header: true }, { who: 'staff' }, 'no header'],
  ['nobody is asked to authenticate', allow, {}, 401],
  ['nobody is, also where only some are denied', deny, {}, 401],
  ['the anonymous consumer is asked to authenticate', allow, { who: 'none', anonymous: true }, 401],
  ["the anonymous consumer's groups count", allow, { who: 'staff', anonymous: true }, 'x-consumer-groups: staff'],
  ['an identity without consumer and groups is refused', allow, { stranger: true }, 403],
  [
    'an identity without a consumer may have groups',
    allow,
    { stranger: true, found: ['admin'] },
    'x-authenticated-groups: admin',
  ],
  [
    'groups that were found count without anybody',
    allow,
    { found: ['admin', 'x'] },
    'x-authenticated-groups: admin, x',
  ],
  [
    'groups that were found do not count before the own',
    allow,
    { who: 'staff', found: ['x'] },
    'x-consumer-groups: staff',
  ],
  [
    'unless it is said that they do',
    { ...allow, always_use_authenticated_groups: true },
    { who: 'staff', found: ['x'] },
    403,
  ],
  [
    'and where none were found the own count',
    { ...allow, always_use_authenticated_groups: true },
    { who: 'staff' },
    'x-consumer-groups: staff',
  ],
  [
    'groups that were found count before those of the anonymous',
    allow,
    { who: 'none', anonymous: true, found: ['admin'] },
    'x-authenticated-groups: admin',
  ],
  ['groups that were found are denied, too', deny, { found: ['staff'] }, 403],
  ['what is no list of groups is none', allow, { found: 'staff' }, 401],
]

for (const [name, config, situation, expected] of rows) {
  test(name, () => assert.equal(verdict(config, situation), expected))
}
