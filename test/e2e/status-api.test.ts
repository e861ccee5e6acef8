/** The Status API, as probes and monitors meet it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Started, startProcess } from './started.ts'

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'gibbon-status-'))
const ask = (gateway: Started, path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${gateway.status[0]}${path}`, init)
const metric = (text: string, name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
const sumOf = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`not within 10 s: ${what}`)
}

test('a gateway with a configuration in force is ready, and says so to anybody who may ask nothing else', async () => {
  const gateway = await startProcess({ status_listen: '127.0.0.1:0' })
  const ready = await ask(gateway, '/status/ready')
  assert.deepEqual([ready.status, await ready.json()], [200, { message: 'ready' }])
  const status = (await (await ask(gateway, '/status')).json()) as { server: object; database: object }
  assert.deepEqual(status.database, { reachable: true })
  assert.ok('total_requests' in status.server)
  assert.equal((await ask(gateway, '/status/ready', { method: 'HEAD' })).status, 200)
  for (const path of ['/', '/services', '/config', '/statusx']) {
    const answer = await ask(gateway, path)
    assert.deepEqual([answer.status, await answer.json()], [404, { message: 'Not found' }], path)
  }
  const post = await ask(gateway, '/status', { method: 'POST' })
  assert.deepEqual([post.status, await post.json()], [405, { message: 'Method not allowed' }])
  await gateway.stop()
})

test('the metrics count what all workers did, and tell what each of them holds', async () => {
  const gateway = await startProcess({ status_listen: '127.0.0.1:0 ssl, 127.0.0.1:0' })
  const metrics = async () => {
    const answer = await fetch(`${gateway.status[1]}/metrics`)
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=UTF-8')
    return answer.text()
  }
  const before = await metrics()
  for (let request = 0; request < 10; request++) {
    const answer = await fetch(gateway.proxy[0]!, { headers: { connection: 'close' } })
    await answer.arrayBuffer()
  }
  await until(async () => metric(await metrics(), 'gibbon_requests_total\\{status="4xx"\\}') === 10, 'ten answers')
  await gateway.put('/services/a', { host: 'example.test' })
  const after = await metrics()
  assert.equal(metric(after, 'gibbon_connections_total') - metric(before, 'gibbon_connections_total'), 10)
  assert.equal(metric(after, 'gibbon_workers_ready'), 2)
  const revision = metric(after, 'gibbon_store_revision')
  assert.ok(revision > metric(before, 'gibbon_store_revision'))
  assert.equal(sumOf(after, 'gibbon_worker_revision'), 2 * revision)
  for (const name of ['gibbon_store_bytes', 'gibbon_resident_memory_bytes']) assert.ok(metric(after, name) > 0, name)
  assert.ok(sumOf(after, 'gibbon_worker_heap_used_bytes') > 1_000_000)
  assert.equal(metric(after, 'gibbon_log_lines_dropped_total'), 0)
  await gateway.stop()
})

test('without a database, a gateway is ready when a configuration was loaded, and tells its hash on both interfaces', async () => {
  const gateway = await startProcess({ status_listen: '127.0.0.1:0', database: 'off' })
  const empty = await ask(gateway, '/status/ready')
  assert.deepEqual([empty.status, await empty.json()], [503, { message: 'empty configuration hash' }])
  const body = JSON.stringify({ _format_version: '3.0', services: [{ name: 'a', host: 'example.test' }] })
  const headers = { 'Content-Type': 'application/json' }
  assert.equal((await fetch(`${gateway.admin[0]}/config`, { method: 'POST', headers, body })).status, 201)
  assert.equal((await ask(gateway, '/status/ready')).status, 200)
  const hashes = await Promise.all(
    [gateway.status[0], gateway.admin[0]].map(async (url) => {
      const status = (await (await fetch(`${url}/status`)).json()) as { configuration_hash: string }
      return status.configuration_hash
    }),
  )
  assert.match(hashes[0]!, /^[\da-f]{32}$/)
  assert.notEqual(hashes[0], '0'.repeat(32))
  assert.equal(hashes[0], hashes[1])
  await gateway.stop()
})

test('a gateway that drains is no longer ready', async () => {
  const upstream = net.createServer(() => undefined).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const gateway = await startProcess({ status_listen: '127.0.0.1:0', drain_timeout: '20s' })
  await gateway.put('/services/slow', { url: `http://127.0.0.1:${(upstream.address() as net.AddressInfo).port}` })
  await gateway.put('/services/slow/routes/all', { paths: ['/'] })
  const socket = net.connect(Number(new URL(gateway.proxy[0]!).port), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const [asked] = (await once(upstream, 'connection')) as [net.Socket]
  const stopped = gateway.stop()
  await until(async () => (await ask(gateway, '/status/ready')).status === 503, 'not ready')
  asked.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  assert.equal(await stopped, 0)
  socket.destroy()
  upstream.close()
})

const declared = (host: string): string => `_format_version: "3.0"
services:
- name: one
  host: ${host}
  routes:
  - {name: all, paths: [/], hosts: [${host}]}
`

test('a declarative file is loaded again when it changes, also by way of a link, and a wrong one changes nothing', async () => {
  const folder = newFolder()
  const file = join(folder, 'kong.yaml')
  writeFileSync(join(folder, 'one.yaml'), declared('one.test'))
  symlinkSync(join(folder, 'one.yaml'), file)
  const gateway = await startProcess({
    database: 'off',
    declarative_config: file,
    declarative_config_watch: 'on',
    log_format: 'text',
  })
  const hosts = async () => {
    const { data } = (await (await fetch(`${gateway.admin[0]}/services`)).json()) as { data: { host: string }[] }
    return data.map(({ host }) => host)
  }
  assert.deepEqual(await hosts(), ['one.test'])
  writeFileSync(join(folder, 'two.yaml'), declared('two.test'))
  symlinkSync(join(folder, 'two.yaml'), join(folder, 'next'))
  renameSync(join(folder, 'next'), file)
  await until(async () => (await hosts())[0] === 'two.test', 'the second file')
  writeFileSync(join(folder, 'two.yaml'), `${declared('not a host')}  retries: many\n`)
  await until(() => gateway.stderr().includes('retries'), 'the mistakes')
  assert.match(gateway.stderr(), /the configuration is not reloaded, and everything stays as it was:/)
  assert.match(gateway.stderr(), /kong\.yaml:4:\d+: services\.0\.host: /)
  assert.deepEqual(await hosts(), ['two.test'])
  await gateway.stop()
})

test('every interface listens on IPv6 addresses, beside the same ports of IPv4, and on all addresses', async () => {
  const port = await freePort()
  const gateway = await startProcess({
    proxy_listen: `[::]:${port}, *:${port}`,
    admin_listen: '[::1]:0',
    status_listen: '[::1]:0, 127.0.0.1:0',
  })
  for (const url of [`http://[::1]:${port}/`, `http://127.0.0.1:${port}/`]) assert.equal((await fetch(url)).status, 404)
  for (const url of [gateway.admin[0]!, ...gateway.status]) assert.equal((await fetch(`${url}/status`)).status, 200)
  assert.equal(await gateway.stop(), 0)
})

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
