/** Fields that many entities and plugins share, under Kong's names for them. */
import { invalidPort, isAddress, isAddressOrRange, parseHost } from './address.ts'
import type { Field } from './field.ts'
import { compileRegex } from './regex.ts'
import { normalisedPath } from './uri.ts'

/** The eight protocols of services and routes. */
const protocolNames = ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'] as const
const httpProtocolNames = ['grpc', 'grpcs', 'http', 'https'] as const

export const uuid = {
  type: 'string',
  uuid: true,
  auto: true,
  description: 'A UUID, made when none is given.',
} as const satisfies Field

export const auto_timestamp_s = {
  type: 'integer',
  timestamp: true,
  auto: true,
  description: 'Seconds since 1970, set by the gateway.',
} as const satisfies Field

export const auto_timestamp_ms = {
  type: 'number',
  timestamp: true,
  auto: true,
  description: 'Seconds since 1970 with milliseconds, set by the gateway.',
} as const satisfies Field

/** Lone surrogates cannot be written in UTF-8, and the replacement character is what is left of bytes that were none. */
const notUtf8 = /[\ufffd\ud800-\udfff]/u

function utf8Error(text: string): string | undefined {
  const at = text.search(notUtf8)
  return at < 0
    ? undefined
    : `invalid utf-8 character sequence detected at position ${Buffer.byteLength(text.slice(0, at)) + 1}`
}

export const utf8_name = {
  type: 'string',
  unique: true,
  description: 'A unique name: letters, digits and . - _ ~.',
  $check: (name: string) =>
    utf8Error(name) ??
    (/^[\w.~\u0080-\u{10ffff}-]+$/u.test(name)
      ? undefined
      : `invalid value '${name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~`),
} as const satisfies Field

/** What is wrong with a tag. */
export const tagError = (tag: string): string | undefined =>
  utf8Error(tag) ??
  (/^[ -+.0-~\u0080-\u{10ffff}-]+$/u.test(tag)
    ? undefined
    : `invalid tag '${tag}': expected printable ascii (except \`,\` and \`/\`) or valid utf-8 sequences`)

export const tag = { type: 'string', required: true, description: 'A tag.', $check: tagError } as const satisfies Field

export const tags = {
  type: 'set',
  elements: tag,
  description: 'Tags to find and group entities by.',
} as const satisfies Field

export const protocol = { type: 'string', one_of: protocolNames, description: 'A protocol.' } as const satisfies Field

export const protocols = {
  type: 'set',
  required: true,
  default: httpProtocolNames,
  elements: protocol,
  description: 'The protocols of the requests that this applies to.',
} as const satisfies Field

export const protocols_http = {
  type: 'set',
  required: true,
  default: httpProtocolNames,
  elements: { type: 'string', required: true, len_min: 1, one_of: httpProtocolNames },
  description: 'The HTTP protocols of the requests that this applies to.',
} as const satisfies Field

/** What is wrong with a host that may be a name or an address but has no port. */
function hostError(host: string): string | undefined {
  const parsed = parseHost(host)
  if ('error' in parsed) return parsed.error === invalidPort ? 'must not have a port' : `invalid value: ${host}`
  return parsed.port === undefined ? undefined : 'must not have a port'
}

function nameError(host: string): string | undefined {
  const parsed = parseHost(host)
  if (!('error' in parsed) && parsed.type !== 'name') return 'must not be an IP'
  return hostError(host)
}

function wildcardNameError(host: string): string | undefined {
  const at = host.indexOf('*')
  if (at < 0) return nameError(host)
  if (at !== 0 && at !== host.length - 1) return 'wildcard must be leftmost or rightmost character'
  if (host.indexOf('*', at + 1) >= 0) return 'only one wildcard must be specified'
  return nameError(host.replace('*', 'wildcard'))
}

function hostWithPortError(host: string): string | undefined {
  const parsed = parseHost(host)
  return 'error' in parsed ? parsed.error : undefined
}

export const host = {
  type: 'string',
  description: 'A host name or an IP address.',
  $check: hostError,
} as const satisfies Field

export const host_with_optional_port = {
  type: 'string',
  description: 'A host name or an IP address, with or without a port.',
  $check: hostWithPortError,
} as const satisfies Field

export const wildcard_host = {
  type: 'string',
  description: 'A host name that may begin or end with a wildcard.',
  $check: wildcardNameError,
} as const satisfies Field

export const sni = {
  type: 'string',
  description: 'A host name, as TLS clients send it.',
  $check: nameError,
} as const satisfies Field

export const ip = {
  type: 'string',
  description: 'An IP address.',
  $check: (text: string) => (isAddress(text) ? undefined : `not an ip address: ${text}`),
} as const satisfies Field

export const ip_or_cidr = {
  type: 'string',
  description: 'An IP address or a range of them.',
  $check: (text: string) => (isAddressOrRange(text) ? undefined : `invalid ip or cidr range: '${text}'`),
} as const satisfies Field

export const port = { type: 'integer', between: [0, 65_535], description: 'A port.' } as const satisfies Field

export const header_name = {
  type: 'string',
  description: 'The name of a header.',
  $check: (name: string) =>
    /^[\w-]+$/.test(name) ? undefined : `bad header name '${name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'`,
} as const satisfies Field

export const cookie_name = {
  type: 'string',
  description: 'The name of a cookie.',
  // RFC 9110 5.6.2: a token.
  $check: (name: string) =>
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
      ? undefined
      : 'contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the characters ()<>@,;:\\"/?={}[] are not allowed.',
} as const satisfies Field

export const headers = {
  type: 'map',
  keys: header_name,
  values: { type: 'array', elements: { type: 'string' } },
  description: 'Header names, each with a list of values.',
} as const satisfies Field

const reservedCharacters = /^\/[\w.~/%:@!$&'()*+,;=-]*$/

/** What is wrong with a path by RFC 3986, and whether that is its percent-encoding. */
function pathError(path: string): { readonly text: string; readonly percent: boolean } | undefined {
  if (!reservedCharacters.test(path)) {
    return {
      text: `invalid path: '${path}' (characters outside of the reserved list of RFC 3986 found)`,
      percent: false,
    }
  }
  const wrong = /%(?![\dA-Fa-f]{2})[^]{0,2}/.exec(path)?.[0]
  return wrong === undefined ? undefined : { text: `invalid url-encoded value: '${wrong}'`, percent: true }
}

export const path = {
  type: 'string',
  starts_with: '/',
  match_none: [{ pattern: '//', err: 'must not have empty segments' }],
  description: 'A path; it begins with a slash and has no empty segments.',
  $check: (text: string) => pathError(text)?.text,
} as const satisfies Field

function routerPathError(text: string): string | undefined {
  const error = pathError(text)
  if (error?.percent) return error.text
  if (text.startsWith('~')) return routerRegexError(text.slice(1))
  const normal = normalisedPath(text)
  return normal === text ? undefined : `non-normalized path, consider use '${normal}' instead`
}

/** Mistakes that people make often keep the wording that they find when they search for it. */
const wellKnownMistakes = new Set([
  'missing closing parenthesis',
  'unmatched closing parenthesis',
  'missing terminating ] for character class',
])

function routerRegexError(pattern: string): string | undefined {
  const compiled = compileRegex(pattern)
  if (compiled.ok) return undefined
  const reason = wellKnownMistakes.has(compiled.error)
    ? `PCRE returned: pcre2_compile() failed: ${compiled.error} in "${pattern}"`
    : compiled.error
  return `invalid regex: '${pattern}' (${reason})`
}

export const router_path = {
  type: 'string',
  match_any: { patterns: ['^/', '^~/'], err: 'should start with: / (fixed path) or ~/ (regex path)' },
  match_none: [{ pattern: '//', err: 'must not have empty segments' }],
  description: 'A path prefix, or a regular expression behind a tilde.',
  $check: routerPathError,
} as const satisfies Field

export const router_host = {
  type: 'string',
  match_all: [{ pattern: '^[^*]*%*?[^*]*$', err: 'invalid wildcard: must have at most one wildcard' }],
  match_any: {
    patterns: ['^%*%.', '%.%*$', '^[^*]*$'],
    err: 'invalid wildcard: must be placed at leftmost or rightmost label',
  },
  description: 'A host name; its first or last label may be a wildcard.',
  $check: (text: string) => hostWithPortError(text.replaceAll('*', 'abc')),
} as const satisfies Field

export const http_method = {
  type: 'string',
  match: '^%u+$',
  description: 'An HTTP method in capital letters.',
} as const satisfies Field

/** For plugins that find the consumer themselves. */
export const no_consumer = {
  type: 'foreign',
  reference: 'consumers',
  eq: null,
  description: 'Not possible: it is the plugin that finds the consumer.',
} as const satisfies Field

/** The consumer that a credential belongs to. */
export const credential_consumer = {
  type: 'foreign',
  reference: 'consumers',
  required: true,
  on_delete: 'cascade',
  description: 'The consumer that it identifies.',
} as const satisfies Field

export const anonymous = {
  type: 'string',
  description: 'Id or username of the consumer that a request goes on as when it is not authenticated.',
} as const satisfies Field

export const hide_credentials = {
  type: 'boolean',
  required: true,
  default: false,
  description: 'Whether the credential is taken out of the request to the upstream.',
} as const satisfies Field

export const realm = {
  type: 'string',
  required: false,
  description: 'The realm named in `WWW-Authenticate`.',
} as const satisfies Field
