import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cores, start } from '../processes.ts'
import { type TokenSet, eddsa, es256, hs256, manyTokens, rs256 } from '../tokens.ts'
import { type Subject, freePort } from './subject.ts'

const command = new URL('../../src/cli/gibbon.ts', import.meta.url).pathname

/** Gibbon without plugins. */
export const gibbonPlain = subject('gibbon plain', undefined)
/** Gibbon with the jwt plugin, a subject for each algorithm. */
export const gibbonHs256 = subject('gibbon HS256', hs256)
export const gibbonRs256 = subject('gibbon RS256', rs256)
export const gibbonEs256 = subject('gibbon ES256', es256)
export const gibbonEdDsa = subject('gibbon EdDSA', eddsa)
/** HS256 with many tokens of a thousand credentials, and with many routes. */
export const gibbonTokens10k = subject('gibbon 10,000 tokens', manyTokens(10_000, 1000))
export const gibbonTokens1m = subject('gibbon 1,000,000 tokens', manyTokens(1_000_000, 1000))
export const gibbonRoutes100 = subject('gibbon 100 routes', hs256, 100)
export const gibbonRoutes10k = subject('gibbon 10,000 routes', hs256, 10_000)

function subject(name: string, tokens: TokenSet | undefined, routes = 1): Subject {
  return {
    name,
    about: `Gibbon of this checkout on Node ${process.version}`,
    absent: undefined,
    checksTokens: tokens !== undefined,
    path: '/anything',
    tokens: (tokens ?? hs256).tokens,
    ...(tokens?.distinct && {
      distinct: { count: tokens.distinct, owners: tokens.keys.length, secret: tokens.secret },
    }),
    async start(directory, upstreamPort) {
      const [port, adminPort] = [await freePort(), await freePort()]
      const file = join(directory, 'kong.json')
      writeFileSync(file, JSON.stringify(config(upstreamPort, tokens, routes)))
      const log = openSync(join(directory, 'gibbon.log'), 'a')
      const child = start(
        cores.gateway,
        process.execPath,
        ['--disable-warning=ExperimentalWarning', command, 'start'],
        {
          stdio: ['ignore', log, log],
          env: { ...process.env, ...environment(directory, file, port, adminPort) },
        },
      )
      return { process: child, port }
    },
  }
}

const environment = (directory: string, file: string, port: number, adminPort: number) => ({
  KONG_DATABASE: 'off',
  KONG_DECLARATIVE_CONFIG: file,
  KONG_PREFIX: join(directory, 'prefix'),
  KONG_PROXY_LISTEN: `127.0.0.1:${port}`,
  KONG_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
  KONG_NGINX_WORKER_PROCESSES: '1',
  KONG_PROXY_ACCESS_LOG: join(directory, 'access.log'),
})

function config(upstreamPort: number, tokens: TokenSet | undefined, routes: number): object {
  const others = Array.from({ length: routes - 1 }, (_, index) => ({
    name: `route-${index}`,
    paths: [`/route-${index}/v1`],
  }))
  const service = {
    name: 'bench',
    url: `http://127.0.0.1:${upstreamPort}`,
    routes: [...others, { name: 'bench', paths: ['/anything'], strip_path: false }],
    plugins: tokens ? [{ name: 'jwt' }] : [],
  }
  return { _format_version: '3.0', services: [service], consumers: tokens ? tokens.keys.map(consumerWith(tokens)) : [] }
}

const consumerWith =
  ({ algorithm, secret, publicKey }: TokenSet) =>
  (key: string) => ({
    username: `user-of-${key}`,
    jwt_secrets: [{ key, algorithm, ...(publicKey === undefined ? { secret } : { rsa_public_key: publicKey }) }],
  })
