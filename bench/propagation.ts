/**
 * How soon a write on one node is in force on the others: `node bench/propagation.ts [--nodes 3] [--writes 300]`.
 *
 * Whole gateways, a process each, on a PostgreSQL of their own. Each write puts a route on one node, in turn; from the moment it
 * is sent, requests are proxied through every other node, with pauses of 2 ms, until one is routed.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type GatewayProcess, startGatewayProcess } from '../test/postgres/gateway.ts'
import { startPostgres } from '../test/postgres/server.ts'

const { values } = parseArgs({
  options: { nodes: { type: 'string', default: '3' }, writes: { type: 'string', default: '300' } },
})
const writes = Number(values.writes)

const folder = mkdtempSync(join(tmpdir(), 'gibbon-bench-'))
const server = await startPostgres()
const database = await server.database()
const upstream = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
await once(upstream, 'listening')
const agent = new Agent({ keepAlive: true })
const nodes = await Promise.all(
  Array.from({ length: Number(values.nodes) }, (_, at) => startGatewayProcess(join(folder, `${at}`), database)),
)

try {
  await nodes[0]?.admin('PUT', '/services/s', { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` })
  const answered: number[] = []
  const inForce: number[] = []
  for (let at = 0; at < writes; at++) {
    const writer = nodes[at % nodes.length]
    if (!writer) throw new Error('there are no nodes')
    const begun = performance.now()
    const others = nodes.filter((node) => node !== writer).map((node) => routed(node, `/w${at}`, begun))
    const { status } = await writer.admin('PUT', `/services/s/routes/w${at}`, { paths: [`/w${at}`] })
    if (status !== 200) throw new Error(`a write was answered ${status}`)
    answered.push(performance.now() - begun)
    inForce.push(...(await Promise.all(others)))
  }
  console.log(`${nodes.length} nodes, ${writes} writes; ms from the write being sent`)
  console.log(`  answered, and in force on its own node: ${quantiles(answered)}`)
  console.log(`  in force on another node:               ${quantiles(inForce)}`)
} finally {
  await Promise.all(nodes.map((node) => node.stop()))
  await server.stop()
  agent.destroy()
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
}

/** Asks until a path is routed; how long after `begun` that was, in ms. */
async function routed({ proxyPort }: GatewayProcess, path: string, begun: number): Promise<number> {
  while ((await statusOf(proxyPort, path)) !== 200) await sleep(2)
  return performance.now() - begun
}

function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end()
  })
}

function quantiles(figures: readonly number[]): string {
  const sorted = figures.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`
}
