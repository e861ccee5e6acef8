/** The Fastify gateway of `fastify.ts`, in a process of its own: folder of the packages, port, upstream's port. */
import { createRequire } from 'node:module'
import { join } from 'node:path'

interface Server {
  register(plugin: unknown, options: object): unknown
  listen(options: object): Promise<unknown>
}

interface Request {
  jwtVerify(): Promise<{ readonly iss: string }>
  readonly headers: Record<string, string>
}

const [folder = '', port, upstreamPort] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const fastify = require('fastify') as (options: object) => Server

const server = fastify({ logger: false })
server.register(require('@fastify/jwt'), { secret: process.env['BENCH_SECRET'] })
server.register(require('@fastify/http-proxy'), {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 128, pipelining: 1 },
  async preHandler(request: Request) {
    const { iss } = await request.jwtVerify()
    request.headers['x-consumer-username'] = iss
  },
})
await server.listen({ host: '127.0.0.1', port: Number(port) })
