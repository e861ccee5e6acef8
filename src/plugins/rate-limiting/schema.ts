import type { Field, Fields, Schema } from '../../schema/field.ts'
import { formerRedisFields, redis } from '../../schema/redis.ts'
import { header_name, path, protocols_http } from '../../schema/typedefs.ts'

/** The lengths of the windows in which requests are counted, the shortest first. */
export const periods = ['second', 'minute', 'hour', 'day', 'month', 'year'] as const
export type Period = (typeof periods)[number]

const realTime = -1

const limit = (period: string) =>
  ({ type: 'number', gt: 0, description: `How many requests may be made in a ${period}.` }) as const satisfies Field

const policy = (one_of: readonly string[]) =>
  ({
    type: 'string',
    default: 'local',
    len_min: 0,
    one_of,
    description: 'Where requests are counted: on each node, in the database, or in Redis.',
  }) as const satisfies Field

const policies = ['local', 'cluster', 'redis'] as const

type Given = Readonly<Record<string, unknown>>

/** A longer period cannot have less than a shorter one, and only Redis is synchronised at times. */
function wrongOf(config: Given): string | undefined {
  const limits = periods.flatMap((period) => {
    const most = config[period]
    return typeof most === 'number' ? [{ period, most }] : []
  })
  for (const [at, shorter] of limits.entries()) {
    const longer = limits.slice(at + 1).find(({ most }) => most < shorter.most)
    if (longer) return `The limit for ${named(longer)} cannot be lower than the limit for ${named(shorter)}`
  }
  const { policy, sync_rate: rate } = config
  if (rate === realTime) return undefined
  if (policy !== 'redis') return 'sync_rate can only be used with the redis policy'
  return typeof rate === 'number' && rate < 0.02 ? 'sync_rate must be greater than 0.02, or -1 to disable' : undefined
}

const named = ({ period, most }: { readonly period: string; readonly most: number }) => `${period}(${most.toFixed(1)})`

const configFields = [
  { second: limit('second') },
  { minute: limit('minute') },
  { hour: limit('hour') },
  { day: limit('day') },
  { month: limit('month') },
  { year: limit('year') },
  {
    limit_by: {
      type: 'string',
      default: 'consumer',
      one_of: ['consumer', 'credential', 'ip', 'service', 'header', 'path'],
      description: 'What requests are counted by.',
    },
  },
  { header_name },
  { path },
  { policy: { ...policy(policies), one_of: policies } },
  {
    fault_tolerant: {
      type: 'boolean',
      required: true,
      default: true,
      description:
        'Whether requests are let through, uncounted, while Redis does not answer; else they are answered with 500.',
    },
  },
  { redis },
  {
    hide_client_headers: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'Whether answers say nothing of the limits.',
    },
  },
  {
    error_code: {
      type: 'number',
      default: 429,
      gt: 0,
      description: 'The status of the answer to a request beyond the limit.',
    },
  },
  {
    error_message: {
      type: 'string',
      default: 'API rate limit exceeded',
      description: 'What the answer to a request beyond the limit says.',
    },
  },
  {
    sync_rate: {
      type: 'number',
      required: true,
      default: realTime,
      description: 'How often nodes tell Redis what they have counted, in seconds; -1: Redis counts every request.',
    },
  },
] as const satisfies Fields

const atPolicyRedis = (field: string) =>
  ({
    conditional: {
      if_field: 'config.policy',
      if_match: { eq: 'redis' },
      then_field: `config.redis.${field}`,
      then_match: { required: true },
    },
  }) as const

const atLimitBy = (what: string, field: string) =>
  ({
    conditional: {
      if_field: 'config.limit_by',
      if_match: { eq: what, len_min: 1 },
      then_field: `config.${field}`,
      then_match: { required: true },
    },
  }) as const

/** The rate-limiting plugin's settings. */
export const schema = {
  name: 'rate-limiting',
  fields: [
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        $check: wrongOf,
        fields: configFields,
        shorthand_fields: formerRedisFields('rate-limiting'),
      },
    },
  ],
  entity_checks: [
    { at_least_one_of: periods.map((period) => `config.${period}`) },
    atPolicyRedis('host'),
    atPolicyRedis('port'),
    atPolicyRedis('timeout'),
    atLimitBy('header', 'header_name'),
    atLimitBy('path', 'path'),
  ],
} as const satisfies Schema

/** The same where there is no database that nodes could count in. */
export const schemaWithoutDatabase: Schema = {
  ...schema,
  fields: [
    schema.fields[0],
    {
      config: {
        ...schema.fields[1].config,
        fields: configFields.map((entry) => ('policy' in entry ? { policy: policy(['local', 'redis']) } : entry)),
      },
    },
  ],
}
