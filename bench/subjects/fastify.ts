import { openSync } from 'node:fs'
import { join } from 'node:path'
import { fastify as installed } from '../peers.ts'
import { start } from '../processes.ts'
import { hs256 } from '../tokens.ts'
import { type Subject, freePort } from './subject.ts'

/** What a team that writes its gateway itself would take: Fastify, its proxy, and its check of tokens. */
export const fastifyHs256: Subject = {
  name: 'fastify HS256',
  about: `${installed.about} with @fastify/http-proxy and @fastify/jwt`,
  absent: undefined,
  peer: installed,
  checksTokens: true,
  path: '/anything',
  tokens: hs256.tokens,
  async start(directory, upstreamPort, how) {
    const port = await freePort()
    const log = openSync(join(directory, 'fastify.log'), 'a')
    const server = new URL('fastify-server.ts', import.meta.url).pathname
    const args = [server, installed.folder, String(port), String(upstreamPort)]
    const env = { ...process.env, NODE_ENV: 'production', BENCH_SECRET: hs256.secret }
    return { process: start(how.cores, process.execPath, args, { stdio: ['ignore', log, log], env }), port }
  },
}
