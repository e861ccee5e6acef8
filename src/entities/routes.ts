import { expressionError } from '../schema/expression/check.ts'
import type { Field, Schema, Subschema } from '../schema/field.ts'
import { compileRegex } from '../schema/regex.ts'
import {
  auto_timestamp_s,
  header_name,
  headers,
  http_method,
  ip_or_cidr,
  port,
  protocol,
  router_host,
  router_path,
  tags,
  utf8_name,
  uuid,
  wildcard_host,
} from '../schema/typedefs.ts'
import { emptyHeaderError } from './route-expression.ts'

/** Addresses of a connection's one end, for routes of streams. */
const endpoints = {
  type: 'set',
  elements: {
    type: 'record',
    fields: [{ ip: ip_or_cidr }, { port }],
    entity_checks: [{ at_least_one_of: ['ip', 'port'] }],
  },
} as const satisfies Field

const methods = {
  type: 'set',
  elements: http_method,
  description: 'Methods, any of which matches.',
} as const satisfies Field
const hosts = {
  type: 'array',
  elements: router_host,
  description: 'Hosts, any of which matches.',
} as const satisfies Field
const paths = {
  type: 'array',
  elements: router_path,
  description: 'Paths, any of which matches.',
} as const satisfies Field
const routeHeaders = {
  ...headers,
  keys: {
    ...header_name,
    match_none: [
      {
        pattern: '^[Hh][Oo][Ss][Tt]$',
        err: "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
      },
    ],
  },
  description: 'Headers that all must have one of the values given.',
} as const satisfies Field
const stripPath = {
  type: 'boolean',
  required: true,
  default: true,
  description: 'Whether the matched part of the path is cut off.',
} as const satisfies Field

/** What leads requests to a service: any of the given hosts, paths, methods and so on. */
export const routes = {
  name: 'routes',
  endpoint_key: 'name',
  subschema_key: 'protocols',
  subschemas: routeKinds(),
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { name: utf8_name },
    {
      protocols: {
        type: 'set',
        len_min: 1,
        required: true,
        elements: protocol,
        mutually_exclusive_subsets: [['http', 'https'], ['tcp', 'tls', 'udp'], ['tls_passthrough'], ['grpc', 'grpcs']],
        default: ['http', 'https'],
        description: 'The protocols of the requests that it matches.',
      },
    },
    {
      https_redirect_status_code: {
        type: 'integer',
        one_of: [426, 301, 302, 307, 308],
        default: 426,
        required: true,
        description: 'The status of the answer to a request that should have come over TLS.',
      },
    },
    { strip_path: stripPath },
    {
      preserve_host: {
        type: 'boolean',
        required: true,
        default: false,
        description: "Whether the client's Host is sent on.",
      },
    },
    {
      request_buffering: {
        type: 'boolean',
        required: true,
        default: true,
        description: 'Whether request bodies are collected.',
      },
    },
    {
      response_buffering: {
        type: 'boolean',
        required: true,
        default: true,
        description: 'Whether response bodies are collected.',
      },
    },
    { tags },
    { service: { type: 'foreign', reference: 'services', description: 'Where requests go.' } },
    { snis: { type: 'set', elements: wildcard_host, description: 'TLS server names, any of which matches.' } },
    { sources: { ...endpoints, description: 'Where a stream may come from.' } },
    { destinations: { ...endpoints, description: 'Where a stream may have been sent to.' } },
    { methods },
    { hosts },
    { paths },
    { headers: routeHeaders },
    {
      regex_priority: {
        type: 'integer',
        default: 0,
        description: 'Among regular expressions the highest number is tried first.',
      },
    },
    {
      path_handling: {
        type: 'string',
        default: 'v0',
        one_of: ['v0', 'v1'],
        description: "How the service's path and the request's are joined.",
      },
    },
  ],
  entity_checks: [
    {
      conditional: {
        if_field: 'protocols',
        if_match: {
          elements: {
            type: 'string',
            required: true,
            len_min: 1,
            not_one_of: ['grpcs', 'https', 'tls', 'tls_passthrough'],
          },
        },
        then_field: 'snis',
        then_match: { len_eq: 0 },
        then_err: "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
      },
    },
    { custom_entity_check: { field_sources: ['path_handling'] } },
    {
      custom_entity_check: {
        field_sources: [
          'id',
          'protocols',
          'snis',
          'sources',
          'destinations',
          'methods',
          'hosts',
          'paths',
          'headers',
          'expression',
          'regex_priority',
          'priority',
        ],
        run_with_missing_fields: true,
        $check: routerError,
      },
    },
  ],
} as const satisfies Schema

const expression = {
  type: 'string',
  description: 'What requests it matches, in place of hosts, paths and so on.',
} as const satisfies Field
const priority = {
  type: 'integer',
  between: [0, 2 ** 46 - 1],
  required: true,
  default: 0,
  description: 'Of expressions that match, the one with the greatest priority is taken.',
} as const satisfies Field

/** The same where routes may have expressions (`router_flavor = expressions`), and HTTP routes tell connections apart, too. */
export const expressionRoutes: Schema = {
  ...routes,
  fields: [...routes.fields, { expression }, { priority }],
  subschemas: new Map([...routes.subschemas].map(([protocol, subschema]) => [protocol, withExpression(subschema)])),
  entity_checks: routes.entity_checks.map((check) =>
    'custom_entity_check' in check && 'run_with_missing_fields' in check.custom_entity_check
      ? { custom_entity_check: { ...check.custom_entity_check, $check: expressionProblem } }
      : check,
  ),
}

/** A route may have an expression in place of the fields of which it needs one. */
function withExpression({ fields, entity_checks, ...rest }: Subschema): Subschema {
  const isStream = (fields ?? []).some((field) => 'hosts' in field)
  return {
    ...rest,
    fields: (fields ?? []).filter((field) => isStream || !('sources' in field || 'destinations' in field)),
    entity_checks: (entity_checks ?? []).map((check) => {
      if (!('conditional_at_least_one_of' in check)) return check
      const { then_at_least_one_of, else_then_at_least_one_of, ...others } = check.conditional_at_least_one_of
      return {
        conditional_at_least_one_of: {
          ...others,
          then_at_least_one_of: [...then_at_least_one_of, 'expression'],
          ...(else_then_at_least_one_of
            ? { else_then_at_least_one_of: [...else_then_at_least_one_of, 'expression'] }
            : {}),
        },
      }
    }),
  }
}

const conditionFields = ['methods', 'hosts', 'paths', 'headers', 'snis', 'sources', 'destinations']
const failed = (problem: string): string => `Router Expression failed validation: ${problem}`

/** What is wrong with a route that may have an expression. */
function expressionProblem(route: Readonly<Record<string, unknown>>): string | undefined {
  const { expression: text, protocols, regex_priority, priority: order } = route
  const hasConditions = conditionFields.some((name) => !isEmpty(route[name]))
  const together = (one: string, other: string) => failed(`cannot set '${one}' with ${other} simultaneously`)
  const others = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'"
  if (typeof text !== 'string') {
    if (hasConditions && !isZero(order)) return together('priority', others)
    return routerError(route)
  }
  if (hasConditions) return together('expression', others)
  if (!isZero(regex_priority)) return together('regex_priority', "'expression'")
  const problem = expressionError(text, Array.isArray(protocols) ? protocols.map(String) : [])
  return problem === undefined ? undefined : failed(problem)
}

const isZero = (value: unknown): boolean => value === undefined || value === null || value === 0
const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)

/** What the router could not make anything of: a header without values, or a pattern that is no regular expression. */
function routerError(route: Readonly<Record<string, unknown>>): string | undefined {
  const error = emptyHeaderError(route) ?? headerPatternError((route['headers'] ?? {}) as Record<string, string[]>)
  return error && failed(error)
}

function headerPatternError(sent: Readonly<Record<string, readonly string[]>>): string | undefined {
  for (const [name, values] of Object.entries(sent)) {
    for (const value of values.filter((one) => one.startsWith('~*'))) {
      const compiled = compileRegex(`(?i)${value.slice(2)}`)
      if (!compiled.ok) return `invalid regex in header '${name}': '${value.slice(2)}' (${compiled.error})`
    }
  }
  return undefined
}

/** What routes of each protocol may and must have. */
function routeKinds(): ReadonlyMap<string, Subschema> {
  const none = (field: Field, err: string): Field => ({ ...field, eq: null, err })
  const httpText = (name: string) => `cannot set '${name}' when 'protocols' is 'http' or 'https'`
  const streamText = (name: string) =>
    `cannot set '${name}' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'`
  const grpcText = (name: string) => `cannot set '${name}' when 'protocols' is 'grpc' or 'grpcs'`
  const http: Subschema = {
    fields: [
      { sources: none(endpoints, httpText('sources')) },
      { destinations: none(endpoints, httpText('destinations')) },
    ],
    entity_checks: [
      {
        conditional_at_least_one_of: {
          if_field: 'protocols',
          if_match: { contains: 'https' },
          then_at_least_one_of: ['methods', 'hosts', 'headers', 'paths', 'snis'],
          then_err: "must set one of %s when 'protocols' is 'https'",
          else_match: { contains: 'http' },
          else_then_at_least_one_of: ['methods', 'hosts', 'headers', 'paths'],
          else_then_err: "must set one of %s when 'protocols' is 'http'",
        },
      },
    ],
  }
  const stream: Subschema = {
    fields: [
      { methods: none(methods, streamText('methods')) },
      { hosts: none(hosts, streamText('hosts')) },
      { paths: none(paths, streamText('paths')) },
      { headers: none(routeHeaders, streamText('headers')) },
    ],
    entity_checks: [
      {
        conditional_at_least_one_of: {
          if_field: 'protocols',
          if_match: { elements: { type: 'string', one_of: ['tcp', 'tls', 'udp'] } },
          then_at_least_one_of: ['sources', 'destinations', 'snis'],
          then_err: "must set one of %s when 'protocols' is 'tcp', 'tls' or 'udp'",
        },
      },
      {
        conditional_at_least_one_of: {
          if_field: 'protocols',
          if_match: { elements: { type: 'string', one_of: ['tls_passthrough'] } },
          then_at_least_one_of: ['snis'],
          then_err: "must set snis when 'protocols' is 'tls_passthrough'",
        },
      },
    ],
  }
  const grpc: Subschema = {
    fields: [
      { strip_path: { ...stripPath, default: false, ne: true, err: grpcText('strip_path') } },
      { methods: none(methods, grpcText('methods')) },
      { sources: none(endpoints, grpcText('sources')) },
      { destinations: none(endpoints, grpcText('destinations')) },
    ],
    entity_checks: [
      {
        conditional_at_least_one_of: {
          if_field: 'protocols',
          if_match: { contains: 'grpcs' },
          then_at_least_one_of: ['hosts', 'headers', 'paths', 'snis'],
          then_err: "must set one of %s when 'protocols' is 'grpcs'",
          else_match: { contains: 'grpc' },
          else_then_at_least_one_of: ['hosts', 'headers', 'paths'],
          else_then_err: "must set one of %s when 'protocols' is 'grpc'",
        },
      },
    ],
  }
  return new Map([
    ['http', http],
    ['https', http],
    ['tcp', stream],
    ['tls', stream],
    ['udp', stream],
    ['tls_passthrough', stream],
    ['grpc', grpc],
    ['grpcs', grpc],
  ])
}
