/** Streams through `gibbon start`: configured by the Admin API, logged, counted, and ended when it stops. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { issue } from './certificates.ts'
import { client, startUpstream, until, type Upstream } from './sockets.ts'
import { startProcess, type Started } from './started.ts'

const authority = issue('Authority', { signs: true })
const shop = issue('shop.test', { by: authority })
const inner = issue('inner.test', { by: authority })

let gateway: Started
let plain: Upstream
let secure: Upstream
const port = (index: number): number => Number(new URL(String(gateway.stream[index])).port)
const logged = (): Record<string, unknown>[] =>
  readFileSync(join(gateway.prefix, 'stream.log'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

before(async () => {
  plain = await startUpstream()
  plain.serve = (socket) => void socket.pipe(socket)
  secure = await startUpstream({ cert: inner.cert, key: inner.key })
  secure.serve = (socket) => void socket.pipe(socket)
  gateway = await startProcess({
    stream_listen: '127.0.0.1:0 reuseport backlog=1024, 127.0.0.1:0 ssl reuseport',
    status_listen: '127.0.0.1:0',
    proxy_stream_access_log: 'stream.log',
    proxy_stream_error_log: 'stream-errors.log',
    log_format: 'json',
    drain_timeout: '400ms',
  })
})

after(() => {
  plain.close()
  secure.close()
})

async function put(path: string, body: object): Promise<void> {
  const answer = await gateway.put(path, body)
  assert.ok(answer.ok, await answer.text())
}

test('a route and a service of tcp are in force when their writes are answered', async () => {
  await put('/services/database', { protocol: 'tcp', host: '127.0.0.1', port: plain.port })
  await put('/services/database/routes/database', { protocols: ['tcp'], destinations: [{ port: port(0) }] })
  for (let round = 0; round < 8; round++) {
    const one = client(port(0))
    one.send('select 1')
    await one.until(/^select 1$/)
    one.socket.end()
    await one.closed()
  }
  await until(
    () => logged().length === 8,
    () => 'eight lines',
  )
  const [line] = logged()
  assert.deepEqual(Object.keys(line ?? {}), [
    'time',
    'stream_id',
    'client',
    'protocol',
    'status',
    'bytes_sent',
    'bytes_received',
    'ms',
    'upstream',
    'route',
    'service',
  ])
  assert.equal(line?.['bytes_sent'], 8)
})

test('TLS passes through to one server name, and ends here for another', async () => {
  await put('/services/inner', { protocol: 'tcp', host: '127.0.0.1', port: secure.port })
  await put('/services/inner/routes/inner', { protocols: ['tls_passthrough'], snis: ['inner.test'] })
  await put('/services/shop', { protocol: 'tls', host: 'inner.test', port: secure.port })
  await put('/services/shop/routes/shop', { protocols: ['tls'], snis: ['shop.test'] })
  await put('/certificates/5ce5e0d6-0000-4000-8000-000000000001', {
    cert: shop.cert,
    key: shop.key,
    snis: ['shop.test'],
  })
  await put('/upstreams/inner.test', {})
  const added = await fetch(`${gateway.admin[0]}/upstreams/inner.test/targets`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ target: `127.0.0.1:${secure.port}` }),
  })
  assert.equal(added.status, 201)
  for (const servername of ['inner.test', 'shop.test']) {
    const socket = tls.connect({ port: port(1), host: '127.0.0.1', servername, ca: authority.cert })
    socket.write(servername)
    assert.equal(String((await once(socket, 'data'))[0]), servername)
    assert.equal(socket.getPeerCertificate().subject.CN, servername)
    socket.end()
    await once(socket, 'close')
  }
})

test('a target that refuses is passed over, counted against, and left alone once it is unhealthy', async () => {
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const dead = (closed.address() as net.AddressInfo).port
  closed.close()
  await put('/upstreams/group', { healthchecks: { passive: { unhealthy: { tcp_failures: 2 } } } })
  for (const target of [dead, plain.port]) {
    const answer = await fetch(`${gateway.admin[0]}/upstreams/group/targets`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ target: `127.0.0.1:${target}` }),
    })
    assert.equal(answer.status, 201)
  }
  await put('/services/database', { protocol: 'tcp', host: 'group', port: 1 })
  for (let round = 0; round < 20; round++) {
    const one = client(port(0))
    one.send('x')
    await one.until(/^x$/)
    one.socket.end()
    await one.closed()
  }
  const health = (await (await fetch(`${gateway.admin[0]}/upstreams/group/health`)).json()) as {
    data: { target: string; health: string }[]
  }
  const states = Object.fromEntries(health.data.map(({ target, health: state }) => [target, state]))
  assert.deepEqual(states, { [`127.0.0.1:${dead}`]: 'UNHEALTHY', [`127.0.0.1:${plain.port}`]: 'HEALTHY' })
})

test('the Admin API tells where streams are taken, and the Status API counts them', async () => {
  const node = (await (await fetch(`${gateway.admin[0]}/`)).json()) as {
    configuration: { stream_listeners: Record<string, unknown>[] }
  }
  const [first, second] = node.configuration.stream_listeners
  assert.equal(first?.['listener'], '127.0.0.1:0 reuseport backlog=1024')
  assert.deepEqual([first?.['ssl'], first?.['udp'], second?.['ssl']], [false, false, true])
  const open = client(port(0))
  open.send('12345')
  await open.until(/^12345$/)
  const metrics = await (await fetch(`${gateway.status[0]}/metrics`)).text()
  assert.match(metrics, /^gibbon_streams_active 1$/m)
  assert.match(metrics, /^gibbon_streams_total\{status="200"\} 30$/m)
  const bytes = /^gibbon_stream_bytes_total\{direction="sent"\} (\d+)$/m.exec(metrics)
  assert.ok(Number(bytes?.[1]) >= 8 * 8 + 20 + 5)
  open.socket.destroy()
})

test('a route that cannot work is told of in the log', async () => {
  await put('/services/web', { protocol: 'http', host: 'web.test' })
  await put('/services/web/routes/wrong', { protocols: ['tcp'], destinations: [{ port: 1 }] })
  const expected = /the route [0-9a-f-]{36} matches nothing: the protocol of its service is http/
  await until(
    () => expected.test(gateway.stderr()),
    () => 'the line',
  )
})

test('a stop waits for streams, and cuts and names what is open when drain_timeout is over', async () => {
  const one = client(port(0))
  one.send('still')
  await one.until(/^still$/)
  assert.equal(await gateway.stop(), 0)
  await one.closed()
  const errors = readFileSync(join(gateway.prefix, 'stream-errors.log'), 'utf8')
  const [, json = '{}'] = /(\{.*streams were cut off.*\})/.exec(errors) ?? []
  const { message, streams } = JSON.parse(json) as { message: string; streams: Record<string, string>[] }
  assert.match(message, /^1 streams were cut off: drain_timeout is over$/)
  const last = logged().at(-1)
  assert.deepEqual([last?.['status'], last?.['reason']], [200, 'cut off'])
  assert.equal(streams[0]?.['stream_id'], last?.['stream_id'])
  assert.equal(streams[0]?.['route'], last?.['route'])
})
