import { parseHost } from '../schema/address.ts'
import type { EntityCheck, Field, Schema } from '../schema/field.ts'
import {
  auto_timestamp_s,
  cookie_name,
  header_name,
  headers,
  host_with_optional_port,
  path,
  sni,
  tags,
  uuid,
} from '../schema/typedefs.ts'

function nameError(name: string): string | undefined {
  const parsed = parseHost(name)
  if ('error' in parsed) return `Invalid name ('${name}'); must be a valid hostname`
  if (parsed.type !== 'name') return `Invalid name ('${name}'); no ip addresses allowed`
  return parsed.port === undefined ? undefined : `Invalid name ('${name}'); no port allowed`
}

const hashInputs = ['none', 'consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'] as const
const hash = { type: 'string', default: 'none', one_of: hashInputs } as const satisfies Field
const simple = { type: 'string', len_min: 1 } as const satisfies Field

const seconds = { type: 'number', between: [0, 65_535] } as const satisfies Field
const count = { type: 'integer', between: [0, 255], default: 0 } as const satisfies Field
const statuses = { type: 'array', elements: { type: 'integer', between: [100, 999] } } as const satisfies Field
const checkType = {
  type: 'string',
  one_of: ['tcp', 'http', 'https', 'grpc', 'grpcs'],
  default: 'http',
} as const satisfies Field

const activeHealthy = { interval: 0, http_statuses: [200, 302], successes: 0 } as const
const activeUnhealthy = {
  interval: 0,
  http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
  tcp_failures: 0,
  timeouts: 0,
  http_failures: 0,
} as const
const active = {
  type: 'http',
  timeout: 1,
  concurrency: 10,
  http_path: '/',
  https_verify_certificate: true,
  healthy: activeHealthy,
  unhealthy: activeUnhealthy,
} as const
const passiveHealthy = {
  http_statuses: [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308],
  successes: 0,
} as const
const passiveUnhealthy = { http_statuses: [429, 500, 503], tcp_failures: 0, timeouts: 0, http_failures: 0 } as const
const passive = { type: 'http', healthy: passiveHealthy, unhealthy: passiveUnhealthy } as const

const activeChecks = {
  type: 'record',
  required: true,
  default: active,
  fields: [
    { type: checkType },
    { timeout: { ...seconds, default: 1 } },
    { concurrency: { type: 'integer', between: [1, 2_147_483_648], default: 10 } },
    { http_path: { ...path, default: '/' } },
    { https_sni: { ...sni, required: false } },
    { https_verify_certificate: { type: 'boolean', default: true, required: true } },
    { headers: { ...headers, required: false } },
    {
      healthy: {
        type: 'record',
        required: true,
        default: activeHealthy,
        fields: [
          { interval: { ...seconds, default: 0 } },
          { http_statuses: { ...statuses, default: activeHealthy.http_statuses } },
          { successes: count },
        ],
      },
    },
    {
      unhealthy: {
        type: 'record',
        required: true,
        default: activeUnhealthy,
        fields: [
          { interval: { ...seconds, default: 0 } },
          { http_statuses: { ...statuses, default: activeUnhealthy.http_statuses } },
          { tcp_failures: count },
          { timeouts: count },
          { http_failures: count },
        ],
      },
    },
  ],
} as const satisfies Field

const passiveChecks = {
  type: 'record',
  required: true,
  default: passive,
  fields: [
    { type: checkType },
    {
      healthy: {
        type: 'record',
        required: true,
        default: passiveHealthy,
        fields: [{ http_statuses: { ...statuses, default: passiveHealthy.http_statuses } }, { successes: count }],
      },
    },
    {
      unhealthy: {
        type: 'record',
        required: true,
        default: passiveUnhealthy,
        fields: [
          { http_statuses: { ...statuses, default: passiveUnhealthy.http_statuses } },
          { tcp_failures: count },
          { timeouts: count },
          { http_failures: count },
        ],
      },
    },
  ],
} as const satisfies Field

type HashField = 'hash_on' | 'hash_fallback'

/** Hashing by `input` needs the field that says which. */
const needs = (field: HashField, input: string, needed: string) =>
  ({
    conditional: {
      if_field: field,
      if_match: { match: `^${input}$` },
      then_field: needed,
      then_match: { required: true },
    },
  }) as const satisfies EntityCheck

/** What may follow when there is nothing to hash on. */
const fallsBackTo = (input: string, allowed: readonly string[]) =>
  ({
    conditional: {
      if_field: 'hash_on',
      if_match: { match: `^${input}$` },
      then_field: 'hash_fallback',
      then_match: { one_of: allowed },
    },
  }) as const satisfies EntityCheck

/** Targets that share the requests of services whose host is its name. */
export const upstreams = {
  name: 'upstreams',
  endpoint_key: 'name',
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    {
      name: {
        type: 'string',
        required: true,
        unique: true,
        description: 'A host name, which services name as their host.',
        $check: nameError,
      },
    },
    {
      algorithm: {
        type: 'string',
        default: 'round-robin',
        one_of: ['consistent-hashing', 'least-connections', 'round-robin', 'latency'],
        description: 'How a target is chosen.',
      },
    },
    {
      sticky_sessions_cookie: {
        ...cookie_name,
        $extension: true,
        description:
          'The cookie by which a client stays with the target that it was given first, while that takes requests.',
      },
    },
    { sticky_sessions_cookie_path: { ...path, $extension: true, description: "That cookie's path; `/` without it." } },
    { hash_on: { ...hash, description: 'What requests are told apart by.' } },
    { hash_fallback: { ...hash, description: 'The same, where a request has nothing of the first kind.' } },
    { hash_on_header: header_name },
    { hash_fallback_header: header_name },
    { hash_on_cookie: cookie_name },
    { hash_on_cookie_path: { ...path, default: '/' } },
    { hash_on_query_arg: simple },
    { hash_fallback_query_arg: simple },
    { hash_on_uri_capture: simple },
    { hash_fallback_uri_capture: simple },
    {
      slots: {
        type: 'integer',
        default: 10_000,
        between: [10, 65_536],
        description: 'How finely the requests are shared.',
      },
    },
    {
      healthchecks: {
        type: 'record',
        required: true,
        default: { active, passive },
        fields: [
          { active: activeChecks },
          { passive: passiveChecks },
          {
            threshold: {
              type: 'number',
              default: 0,
              between: [0, 100],
              description: 'Percent of the weight that must be healthy.',
            },
          },
        ],
        description: 'How failing targets are found.',
      },
    },
    { tags },
    {
      host_header: {
        ...host_with_optional_port,
        description: "The Host sent to targets, in place of the target's own name.",
      },
    },
    {
      client_certificate: {
        type: 'foreign',
        reference: 'certificates',
        description: 'The certificate to present to targets.',
      },
    },
    {
      use_srv_name: {
        type: 'boolean',
        default: false,
        description: 'Whether the Host sent is the name that an SRV record gave.',
      },
    },
  ],
  entity_checks: [
    needs('hash_on', 'header', 'hash_on_header'),
    needs('hash_fallback', 'header', 'hash_fallback_header'),
    needs('hash_on', 'cookie', 'hash_on_cookie'),
    needs('hash_fallback', 'cookie', 'hash_on_cookie'),
    fallsBackTo('none', ['none']),
    fallsBackTo('cookie', ['none']),
    fallsBackTo('consumer', ['none', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']),
    fallsBackTo('ip', ['none', 'consumer', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']),
    fallsBackTo('path', ['none', 'consumer', 'header', 'cookie', 'query_arg', 'ip', 'uri_capture']),
    { distinct: ['hash_on_header', 'hash_fallback_header'] },
    needs('hash_on', 'query_arg', 'hash_on_query_arg'),
    needs('hash_fallback', 'query_arg', 'hash_fallback_query_arg'),
    { distinct: ['hash_on_query_arg', 'hash_fallback_query_arg'] },
    needs('hash_on', 'uri_capture', 'hash_on_uri_capture'),
    needs('hash_fallback', 'uri_capture', 'hash_fallback_uri_capture'),
    { distinct: ['hash_on_uri_capture', 'hash_fallback_uri_capture'] },
  ],
  // Writing one of the two sets the other, as it always has.
  shorthand_fields: [
    { algorithm: { type: 'string', $expand: expandAlgorithm } },
    { hash_on: { type: 'string', $expand: expandHashOn } },
  ],
} as const satisfies Schema

function expandAlgorithm(algorithm: string | null): Record<string, unknown> {
  return algorithm === 'least-connections' || algorithm === 'latency' ? { algorithm, hash_on: null } : { algorithm }
}

function expandHashOn(hash_on: string | null): Record<string, unknown> {
  if (hash_on === null) return { hash_on: 'none' }
  return { hash_on, algorithm: hash_on === 'none' ? 'round-robin' : 'consistent-hashing' }
}
