import { once } from 'node:events'
import { openSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { start } from '../processes.ts'
import { type TokenSet, eddsa, es256, hs256, manyTokens, published, rs256 } from '../tokens.ts'
import { type How, type Subject, freePort } from './subject.ts'

const command = new URL('../../src/cli/gibbon.ts', import.meta.url).pathname

/** Who may pass, and how they say who they are. */
interface Authentication extends Pick<Subject, 'header' | 'distinct'> {
  readonly plugin: string
  readonly tokens: readonly string[]
  readonly consumers: () => readonly object[]
  /** The plugin's config; undefined where its defaults will do. */
  readonly config?: () => Promise<object>
  /** What takes part beside it. */
  readonly others?: readonly { readonly name: string; readonly config: object }[]
}

const byJwt = (set: TokenSet): Authentication => ({
  plugin: 'jwt',
  tokens: set.tokens,
  consumers: () => set.keys.map(consumerWith(set)),
  ...(set.distinct && { distinct: { count: set.distinct, owners: set.keys.length, secret: set.secret } }),
})

const byJwtWith = (config: object): Authentication => ({ ...byJwt(hs256), config: () => Promise.resolve(config) })

const byIssuer: Authentication = {
  plugin: 'jwt',
  tokens: published.tokens,
  consumers: () => [],
  config: async () => ({
    issuers: [{ issuer: published.issuer, jwks_uri: await publish(published.jwks()) }],
    consumer_optional: true,
  }),
}

/** Serves a document for as long as the run takes, and gives its address. */
async function publish(document: string): Promise<string> {
  const server = createServer((_, response) => response.end(document)).listen(0, '127.0.0.1')
  server.unref()
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const names = hs256.keys

const byKey: Authentication = {
  plugin: 'key-auth',
  tokens: names,
  consumers: () => names.map((key) => ({ username: `user-of-${key}`, keyauth_credentials: [{ key }] })),
  header: (token) => ['apikey', token],
}

const byPassword: Authentication = {
  plugin: 'basic-auth',
  tokens: names,
  consumers: () =>
    names.map((username) => ({
      username: `user-of-${username}`,
      basicauth_credentials: [{ username, password: hs256.secret }],
    })),
  header: (token) => ['Authorization', `Basic ${Buffer.from(`${token}:${hs256.secret}`).toString('base64')}`],
}

/** Gibbon without plugins. */
export const gibbonPlain = subject('gibbon plain', undefined)
/** Gibbon with the jwt plugin, a subject for each algorithm. */
export const gibbonHs256 = subject('gibbon HS256', byJwt(hs256))
export const gibbonRs256 = subject('gibbon RS256', byJwt(rs256))
export const gibbonEs256 = subject('gibbon ES256', byJwt(es256))
export const gibbonEdDsa = subject('gibbon EdDSA', byJwt(eddsa))
/** HS256 with many tokens of a thousand credentials, and with many routes. */
export const gibbonTokens10k = subject('gibbon 10,000 tokens', byJwt(manyTokens(10_000, 1000)))
export const gibbonTokens1m = subject('gibbon 1,000,000 tokens', byJwt(manyTokens(1_000_000, 1000)))
export const gibbonCredentials1m = subject('gibbon 1,000,000 credentials', byJwt(manyTokens(1_000_000, 1_000_000)))
export const gibbonRoutes100 = subject('gibbon 100 routes', byJwt(hs256), 100)
export const gibbonRoutes10k = subject('gibbon 10,000 routes', byJwt(hs256), 10_000)
/** Gibbon with what its jwt plugin has beyond Kong's. */
export const gibbonJwks = subject('gibbon JWKS of 100 keys', byIssuer)
export const gibbonObserve = subject('gibbon observing', byJwtWith({ mode: 'observe', claims_required: ['sub'] }))
export const gibbonClaims = subject(
  'gibbon claims to headers',
  byJwtWith({ upstream_headers: ['sub', 'iat'].map((name) => ({ name: `X-Claim-${name}`, claim: [name] })) }),
)
/** Gibbon with API keys, and with passwords. */
export const gibbonKeyAuth = subject('gibbon key-auth', byKey)
/** API keys whose requests are counted, by Consumer. */
export const gibbonLimits = subject('gibbon key-auth and limits', limited({ minute: 1e9 }))
export const gibbonBasicAuth = subject('gibbon basic-auth', byPassword)

function limited(config: object): Authentication {
  return { ...byKey, others: [{ name: 'rate-limiting', config }] }
}

function subject(name: string, authentication: Authentication | undefined, routes = 1): Subject {
  return {
    name,
    about: `Gibbon of this checkout on Node ${process.version}`,
    absent: undefined,
    checksTokens: authentication !== undefined,
    path: '/anything',
    tokens: (authentication ?? hs256).tokens,
    ...(authentication?.header && { header: authentication.header }),
    ...(authentication?.distinct && { distinct: authentication.distinct }),
    async start(directory, upstreamPort, how) {
      const [port, adminPort] = [await freePort(), await freePort()]
      const file = join(directory, 'kong.json')
      writeFileSync(file, JSON.stringify(await config(upstreamPort, authentication, routes)))
      const log = openSync(join(directory, 'gibbon.log'), 'a')
      const child = start(
        how.cores,
        process.execPath,
        ['--disable-warning=ExperimentalWarning', '--use-largepages=silent', command, 'start'],
        {
          stdio: ['ignore', log, log],
          env: { ...process.env, ...environment(directory, file, port, adminPort, how) },
        },
      )
      return { process: child, port }
    },
  }
}

const environment = (
  directory: string,
  file: string,
  port: number,
  adminPort: number,
  { workers, tls, http2, accessLog }: How,
) => ({
  KONG_DATABASE: 'off',
  KONG_DECLARATIVE_CONFIG: file,
  KONG_PREFIX: join(directory, 'prefix'),
  KONG_PROXY_LISTEN: `127.0.0.1:${port}${tls ? ' ssl' : ''}${http2 ? ' http2' : ''}`,
  ...(tls && { KONG_SSL_CERT: tls.cert, KONG_SSL_CERT_KEY: tls.key }),
  KONG_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
  KONG_NGINX_HTTP_KEEPALIVE_REQUESTS: '1000000000',
  KONG_NGINX_WORKER_PROCESSES: String(workers),
  KONG_PROXY_ACCESS_LOG: accessLog ? join(directory, 'access.log') : 'off',
})

async function config(
  upstreamPort: number,
  authentication: Authentication | undefined,
  routes: number,
): Promise<object> {
  const others = Array.from({ length: routes - 1 }, (_, index) => ({
    name: `route-${index}`,
    paths: [`/route-${index}/v1`],
  }))
  const service = {
    name: 'bench',
    url: `http://127.0.0.1:${upstreamPort}`,
    routes: [...others, { name: 'bench', paths: ['/anything'], strip_path: false, request_buffering: false }],
    plugins: authentication
      ? [
          { name: authentication.plugin, config: (await authentication.config?.()) ?? {} },
          ...(authentication.others ?? []),
        ]
      : [],
  }
  return { _format_version: '3.0', services: [service], consumers: authentication?.consumers() ?? [] }
}

function consumerWith({ algorithm, secret, publicKey }: TokenSet) {
  return (key: string) => ({
    username: `user-of-${key}`,
    jwt_secrets: [{ key, algorithm, ...(publicKey === undefined ? { secret } : { rsa_public_key: publicKey }) }],
  })
}
