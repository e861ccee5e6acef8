import { spawnSync } from 'node:child_process'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from '../processes.ts'
import { hs256, rs256, type TokenSet } from '../tokens.ts'
import { type How, type Subject, freePort } from './subject.ts'

const version = spawnSync('haproxy', ['-v'], { encoding: 'utf8' })

/** HAProxy as a plain reverse proxy: one thread, connections reused. */
export const haproxy = subject('haproxy plain', undefined)
/** The same with HAProxy's own check of tokens, and the issuer told to the upstream. */
export const haproxyHs256 = subject('haproxy HS256', hs256)
export const haproxyRs256 = subject('haproxy RS256', rs256)

function subject(name: string, checked: TokenSet | undefined): Subject {
  return {
    name,
    about: version.stdout?.split('\n')[0] ?? '',
    absent: version.error ? 'haproxy is not installed' : undefined,
    checksTokens: checked !== undefined,
    path: '/anything',
    tokens: (checked ?? hs256).tokens,
    async start(directory, upstreamPort, how) {
      const port = await freePort()
      const file = join(directory, 'haproxy.cfg')
      writeFileSync(
        file,
        config(port, upstreamPort, checked ? rulesOf(checked, directory) : '', bound(how, directory), how),
      )
      const log = openSync(join(directory, 'access.log'), 'a')
      const stdio: ['ignore', number, 'inherit'] = ['ignore', log, 'inherit']
      return { process: start(how.cores, 'haproxy', ['-db', '-q', '-f', file], { stdio }), port }
    },
  }
}

/** The check of a token, with the secret itself or with the file of the public key. */
function rulesOf({ algorithm, secret, publicKey }: TokenSet, directory: string): string {
  const file = join(directory, 'public.pem')
  if (publicKey !== undefined) writeFileSync(file, publicKey)
  return `
  http-request set-var(txn.bearer) http_auth_bearer
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('$.alg') -m str ${algorithm} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify("${algorithm}","${publicKey === undefined ? secret : file}") -m int 1 }
  http-request set-header X-Consumer-Username %[var(txn.bearer),jwt_payload_query('$.iss')]`
}

/** What follows the address of `bind`. HAProxy reads certificate and key from one file, and tells HTTP/2 by a client's first bytes. */
function bound({ tls }: How, directory: string): string {
  if (!tls) return ''
  const file = join(directory, 'both.pem')
  writeFileSync(file, readFileSync(tls.cert, 'utf8') + readFileSync(tls.key, 'utf8'))
  return ` ssl crt ${file} ssl-min-ver TLSv1.3`
}

const config = (port: number, upstreamPort: number, rules: string, binding: string, { workers, accessLog }: How) => `
global
  nbthread ${workers}
  maxconn 4096
  ${accessLog ? 'log stdout format raw local0' : ''}
defaults
  mode http
  ${accessLog ? 'log global\n  option httplog' : ''}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:${port}${binding}
  option forwardfor${rules}
  default_backend service
backend service
  server one 127.0.0.1:${upstreamPort}
`
