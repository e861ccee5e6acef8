import { spawnSync } from 'node:child_process'
import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cores, start } from '../processes.ts'
import { hs256 } from '../tokens.ts'
import { type Subject, freePort } from './subject.ts'

const version = spawnSync('haproxy', ['-v'], { encoding: 'utf8' })

/** HAProxy as a plain reverse proxy: one thread, connections reused, access log. */
export const haproxy = subject('haproxy plain', false, '')

/** The same with HAProxy's own check of HS256 tokens, and the issuer told to the upstream. */
export const haproxyHs256 = subject(
  'haproxy HS256',
  true,
  `
  http-request set-var(txn.bearer) http_auth_bearer
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('$.alg') -m str HS256 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify("HS256","${hs256.secret}") -m int 1 }
  http-request set-header X-Consumer-Username %[var(txn.bearer),jwt_payload_query('$.iss')]`,
)

function subject(name: string, checksTokens: boolean, rules: string): Subject {
  return {
    name,
    about: version.stdout?.split('\n')[0] ?? '',
    absent: version.error ? 'haproxy is not installed' : undefined,
    checksTokens,
    path: '/anything',
    tokens: hs256.tokens,
    async start(directory, upstreamPort) {
      const port = await freePort()
      const file = join(directory, 'haproxy.cfg')
      writeFileSync(file, config(port, upstreamPort, rules))
      const log = openSync(join(directory, 'access.log'), 'a')
      const stdio: ['ignore', number, 'inherit'] = ['ignore', log, 'inherit']
      return { process: start(cores.gateway, 'haproxy', ['-db', '-q', '-f', file], { stdio }), port }
    },
  }
}

const config = (port: number, upstreamPort: number, rules: string) => `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:${port}
  option forwardfor${rules}
  default_backend service
backend service
  server one 127.0.0.1:${upstreamPort}
`
