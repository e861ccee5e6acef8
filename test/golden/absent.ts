/** Which of Kong's bundled plugins are not there yet: recorded answers about them are not asked for. */
import { bundledPlugins } from '../../src/plugins/index.ts'

/** The plugins of Kong Gateway 3.10, each with the entities that it brings and the words that their paths have. */
const kongs: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  acl: { acls: ['acls'] },
  acme: { acme_storage: [] },
  'ai-prompt-decorator': {},
  'ai-prompt-guard': {},
  'ai-prompt-template': {},
  'ai-proxy': {},
  'ai-request-transformer': {},
  'ai-response-transformer': {},
  'aws-lambda': {},
  'azure-functions': {},
  'basic-auth': { basicauth_credentials: ['basic-auths', 'basic-auth'] },
  'bot-detection': {},
  'correlation-id': {},
  cors: {},
  datadog: {},
  'file-log': {},
  'grpc-gateway': {},
  'grpc-web': {},
  'hmac-auth': { hmacauth_credentials: ['hmac-auths', 'hmac-auth'] },
  'http-log': {},
  'ip-restriction': {},
  jwt: { jwt_secrets: ['jwts', 'jwt'] },
  'key-auth': { keyauth_credentials: ['key-auths', 'key-auth'] },
  'ldap-auth': {},
  loggly: {},
  oauth2: {
    oauth2_authorization_codes: ['oauth2_authorization_codes'],
    oauth2_credentials: ['oauth2'],
    oauth2_tokens: ['oauth2_tokens'],
  },
  opentelemetry: {},
  'post-function': {},
  'pre-function': {},
  prometheus: {},
  'proxy-cache': {},
  'rate-limiting': { ratelimiting_metrics: [] },
  redirect: {},
  'request-size-limiting': {},
  'request-termination': {},
  'request-transformer': {},
  'response-ratelimiting': {},
  'response-transformer': {},
  session: { sessions: [] },
  'standard-webhooks': {},
  statsd: {},
  syslog: {},
  'tcp-log': {},
  'udp-log': {},
  zipkin: {},
}

const here = new Set(bundledPlugins.map(({ name }) => name))
const absent = Object.entries(kongs).filter(([name]) => !here.has(name))
const absentKinds = new Set(absent.flatMap(([, kinds]) => Object.keys(kinds)))
const words: readonly (readonly [word: RegExp, plugin: string])[] = absent.flatMap(([plugin, kinds]) =>
  [...new Set([plugin, ...Object.keys(kinds), ...Object.values(kinds).flat()])].map(
    (word) => [new RegExp(`(?<![\\w-])${word}(?![\\w-])`), plugin] as const,
  ),
)

/** The absent plugins that a recorded request or its answer speaks of. */
export const absentPluginsIn = (recorded: unknown): readonly string[] => {
  const text = JSON.stringify(recorded)
  return [...new Set(words.filter(([word]) => word.test(text)).map(([, plugin]) => plugin))]
}

/** A declarative configuration without what needs absent plugins; `ids` are those of the entities left out. */
export function withoutAbsent<T>(config: T): { readonly config: T; readonly ids: readonly string[] } {
  const ids: string[] = []
  return { config: cut(config, ids) as T, ids }
}

function cut(value: unknown, ids: string[], section = ''): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => isKept(item as Named, section, ids)).map((item) => cut(item, ids))
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, inner]) => [name, cut(inner, ids, name)] as const)
  return Object.fromEntries(entries.filter(([name]) => !absentKinds.has(name)))
}

interface Named {
  readonly id?: string
  readonly name?: string
}

function isKept({ id, name }: Named, section: string, ids: string[]): boolean {
  const isAbsent = absentKinds.has(section) || (section === 'plugins' && name !== undefined && !here.has(name))
  if (isAbsent && id !== undefined) ids.push(id)
  return !isAbsent
}
