import { openSync, writeFileSync, chmodSync } from 'node:fs'
import { join } from 'node:path'
import { envoyServer } from '../peers.ts'
import { start } from '../processes.ts'
import { hs256 } from '../tokens.ts'
import { type Subject, freePort } from './subject.ts'

/** Envoy as a plain reverse proxy. */
export const envoy = subject('envoy plain', false)
/** The same with its filter for tokens, and the issuer told to the upstream. */
export const envoyHs256 = subject('envoy HS256', true)

function subject(name: string, checksTokens: boolean): Subject {
  return {
    name,
    about: envoyServer.about,
    absent: undefined,
    peer: envoyServer,
    checksTokens,
    path: '/anything',
    tokens: hs256.tokens,
    async start(directory, upstreamPort, how) {
      const port = await freePort()
      const file = join(directory, 'envoy.json')
      writeFileSync(file, JSON.stringify(config(port, upstreamPort, checksTokens)))
      chmodSync(envoyServer.file, 0o755)
      const log = openSync(join(directory, 'envoy.log'), 'a')
      const args = ['-c', file, '--concurrency', String(how.workers), '--disable-hot-restart', '-l', 'warning']
      return { process: start(how.cores, envoyServer.file, args, { stdio: ['ignore', log, log] }), port }
    },
  }
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` })
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

function config(port: number, upstreamPort: number, checksTokens: boolean): object {
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: type('filters.http.router.v3.Router'),
  }
  const manager = {
    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'bench',
    use_remote_address: true,
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'service' } }] },
      ],
    },
    http_filters: [...(checksTokens ? [tokenFilter] : []), router],
  }
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  const endpoint = { endpoint: { address: address(upstreamPort) } }
  return {
    static_resources: {
      listeners: [{ name: 'front', address: address(port), filter_chains: [{ filters }] }],
      clusters: [
        {
          name: 'service',
          type: 'STATIC',
          load_assignment: { cluster_name: 'service', endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  }
}

const key = { kty: 'oct', alg: 'HS256', k: Buffer.from(hs256.secret).toString('base64url') }
const tokenFilter = {
  name: 'envoy.filters.http.jwt_authn',
  typed_config: {
    ...type('filters.http.jwt_authn.v3.JwtAuthentication'),
    providers: {
      bench: {
        local_jwks: { inline_string: JSON.stringify({ keys: [key] }) },
        claim_to_headers: [{ header_name: 'x-consumer-username', claim_name: 'iss' }],
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  },
}
