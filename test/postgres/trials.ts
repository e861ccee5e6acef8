/**
 * Deaths and partitions in the midst of writes: of a gateway, of PostgreSQL, of the network between them. What was acknowledged
 * must be there afterwards, on every node and in the database; nothing may be seen by half; no proxied request may fail.
 *
 *   node test/postgres/trials.ts [--gateway 200] [--server 200] [--partition 200] [--sessions 10]
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Database } from '../../src/store/postgres/connection.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway.ts'
import { type Partition, partitionOf } from './partition.ts'
import { connect } from '../../src/store/postgres/connection.ts'
import { startPostgres } from './server.ts'

export interface TrialCounts {
  readonly gateway: number
  readonly server: number
  readonly partition: number
}

export interface TrialReport {
  readonly acknowledged: number
  /** Writes that were answered 503. */
  readonly refused: number
  /** Writes whose connection broke. */
  readonly broken: number
  /** Requests that were proxied meanwhile. */
  readonly proxied: number
  /** Of those the ones that failed, while their own gateway was not killed. */
  readonly failed: number
  /** The longest that a write was answered in, in ms, while the database was away. */
  readonly slowestMs: number
}

/** What a trial works with: one node that things happen to, another that looks on, and a database. */
interface World {
  readonly acknowledged: { readonly routes: Set<string>; readonly services: Set<string> }
  readonly counts: { refused: number; broken: number; proxied: number; failed: number; slowestMs: number }
  readonly observer: GatewayProcess
  readonly partition: Partition
  readonly start: () => Promise<GatewayProcess>
  node: GatewayProcess
  writes: number
}

/** Runs trials; rejects where something acknowledged was lost, or something was seen by half. */
export async function runTrials(trials: TrialCounts, said: (line: string) => void = () => {}): Promise<TrialReport> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-trials-'))
  const server = await startPostgres()
  const partition = await partitionOf(server.port)
  const database = await server.database()
  const upstream = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
  const cutOff: Database = { ...database, port: partition.port }
  const start = () => startGatewayProcess(join(folder, 'node'), cutOff)
  const observer = await startGatewayProcess(join(folder, 'observer'), database)
  const world: World = {
    acknowledged: { routes: new Set(), services: new Set() },
    counts: { refused: 0, broken: 0, proxied: 0, failed: 0, slowestMs: 0 },
    observer,
    partition,
    start,
    node: await start(),
    writes: 0,
  }
  try {
    await untilOk(() =>
      observer.admin('PUT', '/services/up', { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` }),
    )
    await untilOk(() => observer.admin('PUT', '/services/up/routes/up', { paths: ['/up'] }))
    await untilOk(() => world.node.admin('GET', '/routes/up'))
    const kinds: readonly [keyof TrialCounts, Trial][] = [
      ['gateway', killGateway],
      ['server', async () => (await server.kill(), await sleep(Math.random() * 300), await server.start())],
      ['partition', cutNetwork],
    ]
    for (const [kind, happen] of kinds) {
      for (let trial = 1; trial <= trials[kind]; trial++) {
        await inTheMidstOfWrites(world, happen, kind === 'gateway')
        if (trial % 20 === 0 || trial === trials[kind])
          said(`${kind}: ${trial} of ${trials[kind]}, ${JSON.stringify(reportOf(world))}`)
      }
    }
    return reportOf(world)
  } finally {
    await Promise.all([world.node.stop(), observer.stop()])
    await partition.close()
    await server.stop()
    upstream.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface CrowdReport {
  readonly acknowledged: number
  /** Writes that were answered 503, and those of which nobody knew whether they were written. */
  readonly refused: number
  /** Connections to the database that were ended. */
  readonly ended: number
  /** The log's last revision, which every node has come to. */
  readonly revision: number
}

/**
 * Three nodes, each with 20 clients that write for some seconds, while the database ends the nodes' connections again and again.
 * Rejects where the nodes do not come to the same in the end, where the log has a gap, or something acknowledged is lost.
 */
export async function runCrowd(seconds: number): Promise<CrowdReport> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-crowd-'))
  const server = await startPostgres()
  const nodes: GatewayProcess[] = []
  try {
    const database = await server.database()
    for (const name of ['a', 'b', 'c']) nodes.push(await startGatewayProcess(join(folder, name), database))
    const acknowledged = new Set<string>()
    const done = AbortSignal.timeout(seconds * 1000)
    const counts = { refused: 0 }
    const clients = nodes.flatMap((node, at) =>
      Array.from({ length: 20 }, async (_, client) => {
        for (let round = 0; !done.aborted; round++) {
          const username = `n${at}-c${client}-${round}`
          const { status } = await node.admin('PUT', `/consumers/${username}`, { custom_id: username })
          if (status === 200) acknowledged.add(username)
          else assert.equal(status, 503)
          if (status === 503) counts.refused++
        }
      }),
    )
    const ended = await endSessions(database, done)
    await Promise.all(clients)
    for (const node of nodes) await untilOk(() => node.admin('PUT', '/consumers/after', {}))
    const { revision, logged } = await logOf(database)
    assert.equal(logged, revision + 1, 'the log has a change for each revision')
    const [first, ...others] = await Promise.all(nodes.map((node) => all(node, '/consumers')))
    for (const other of others) assert.deepEqual(other, first)
    const names = new Set(first?.map(({ username }) => username))
    assert.deepEqual([...acknowledged].filter(absentFrom(names)), [], 'no acknowledged consumer is lost')
    return { acknowledged: acknowledged.size, ...counts, ended, revision }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Ends connections of the nodes until it is done; how many. */
async function endSessions(database: Database, done: AbortSignal): Promise<number> {
  const connection = await connect(database)
  let ended = 0
  while (!done.aborted) {
    await sleep(100 + Math.random() * 400)
    const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.6`
    const [rows = []] = await connection.run([{ text }])
    ended += rows.length
  }
  connection.end()
  return ended
}

async function logOf(database: Database): Promise<{ readonly revision: number; readonly logged: number }> {
  const connection = await connect(database)
  const table = `"${database.schema}".gibbon_changes`
  const [rows] = await connection.run([
    { text: `SELECT max(revision)::int AS revision, count(*)::int AS logged FROM ${table}` },
  ])
  connection.end()
  return { revision: Number(rows?.[0]?.['revision']), logged: Number(rows?.[0]?.['logged']) }
}

const acknowledgedIn = ({ acknowledged }: World): number => acknowledged.routes.size + acknowledged.services.size

const reportOf = (world: World): TrialReport => ({ acknowledged: acknowledgedIn(world), ...world.counts })

type Trial = (world: World) => Promise<unknown>

async function killGateway(world: World): Promise<void> {
  await world.node.kill()
  world.node = await world.start()
}

async function cutNetwork({ partition }: World): Promise<void> {
  partition.cut()
  await sleep(Math.random() * 1500)
  if (Math.random() < 0.3) partition.sever()
  partition.heal()
}

async function inTheMidstOfWrites(world: World, happen: Trial, kills: boolean): Promise<void> {
  const done = new AbortController()
  const { node, observer } = world
  const proxied = kills ? observer : node
  const busy = [
    ...Array.from({ length: 4 }, () => write(world, node, done.signal)),
    proxy(world, proxied, done.signal),
    watch(observer, done.signal),
  ]
  // Not before writes are under way: a process that has only just started answers its first one late.
  const before = acknowledgedIn(world)
  for (let triesLeft = 1000; acknowledgedIn(world) === before && triesLeft > 0; triesLeft--) await sleep(10)
  await sleep(Math.random() * 150)
  await happen(world)
  await sleep(Math.random() * 100)
  done.abort()
  await Promise.all(busy)
  await untilOk(() => world.node.admin('PUT', '/consumers/after', { custom_id: `${++world.writes}` }))
  await untilOk(() => observer.admin('PUT', '/consumers/after', { custom_id: `${++world.writes}` }))
  await check(world, world.node)
  await check(world, observer)
}

/** Writes a route, then a service together with the route's reference to it, again and again. */
async function write(world: World, node: GatewayProcess, done: AbortSignal): Promise<void> {
  const { acknowledged } = world
  while (!done.aborted) {
    const name = `w${++world.writes}`
    const route = await node.admin('POST', '/routes', { name, paths: [`/${name}`] })
    count(world, route)
    if (route.status !== 201) {
      // As a client that tries again would.
      await sleep(100)
      continue
    }
    acknowledged.routes.add(name)
    const service = await node.admin('PUT', `/routes/${name}/service`, { name, url: 'http://127.0.0.1:1' })
    count(world, service)
    if (service.status === 200) acknowledged.services.add(name)
  }
}

function count({ counts }: World, { status, ms, body }: Awaited<ReturnType<GatewayProcess['admin']>>): void {
  if (status === 0) counts.broken++
  else if (status === 503) {
    counts.refused++
    counts.slowestMs = Math.max(counts.slowestMs, ms)
  } else assert.ok(status < 300, `a write was answered ${status}: ${JSON.stringify(body)}`)
}

async function proxy({ counts }: World, node: GatewayProcess, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const answer = await fetch(`http://127.0.0.1:${node.proxyPort}/up`).then(
      async (response) => response.ok && (await response.text()) === 'ok',
      () => false,
    )
    counts.proxied++
    if (!answer) counts.failed++
    await sleep(2)
  }
}

/** Looks all the while whether a node shows something by half. */
async function watch(node: GatewayProcess, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    await whole(node)
    await sleep(20)
  }
}

/** A service is written together with its route's reference, so that the newest ones have each other. */
async function whole(node: GatewayProcess): Promise<void> {
  const [services, routes] = [await all(node, '/services'), await all(node, '/routes')]
  const referred = new Set(routes.map(({ service }) => service?.id))
  // What is written between the two readings is seen in the second alone.
  assert.deepEqual(
    services.filter(({ id }) => !referred.has(id)).map(({ name }) => name),
    [],
  )
}

async function check({ acknowledged }: World, node: GatewayProcess): Promise<void> {
  await whole(node)
  const names = async (path: string) => new Set((await all(node, path)).map(({ name }) => name))
  assert.deepEqual(
    [...acknowledged.routes].filter(absentFrom(await names('/routes'))),
    [],
    'no acknowledged route is lost',
  )
  assert.deepEqual([...acknowledged.services].filter(absentFrom(await names('/services'))), [], 'nor a service')
}

const absentFrom = (names: ReadonlySet<string | null | undefined>) => (name: string) => !names.has(name)

interface Named {
  readonly id: string
  readonly name: string | null
  readonly username?: string
  readonly service?: { readonly id: string } | null
}

async function all(node: GatewayProcess, path: string): Promise<Named[]> {
  const found: Named[] = []
  for (let next: string | null = `${path}?size=1000`; next !== null;) {
    const { status, body } = await node.admin('GET', next)
    assert.equal(status, 200, 'the Admin API reads on, whatever happens')
    found.push(...(body.data as Named[]))
    next = body.offset === undefined ? null : `${path}?size=1000&offset=${encodeURIComponent(body.offset)}`
  }
  return found
}

async function untilOk(ask: () => Promise<{ readonly status: number; readonly body: unknown }>): Promise<void> {
  for (let triesLeft = 300; ; triesLeft--) {
    const { status, body } = await ask()
    if (status >= 200 && status < 300) return
    if (triesLeft === 0) throw new Error(`waited in vain for an answer: ${status} ${JSON.stringify(body)}`)
    await sleep(50)
  }
}

if (import.meta.main) {
  const option = { type: 'string', default: '0' } as const
  const { values } = parseArgs({
    options: { gateway: option, server: option, partition: option, sessions: option },
  })
  const trials = { gateway: Number(values.gateway), server: Number(values.server), partition: Number(values.partition) }
  if (Number(values.sessions) > 0) console.log(await runCrowd(Number(values.sessions)))
  const report = await runTrials(trials, (line) => console.log(line))
  console.log(report)
}
