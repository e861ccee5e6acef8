/** `gibbon reload`: another process takes the place of the one that serves, and nobody notices. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import tls from 'node:tls'
import { askLocally } from '../../src/cli/local-admin.ts'
import { runningGateway } from '../../src/cli/running.ts'
import { chat } from '../../bench/continuity/chat.ts'
import { startOrigin } from '../../bench/continuity/origin.ts'
import { tryReloads } from '../../bench/continuity/reloads.ts'
import { withoutPostgres } from '../postgres/server.ts'
import { heldClients } from './held-way.ts'
import { client, echoTargets, ok, onRequests, request, startUpstream, until } from './sockets.ts'
import { type Started, startProcess } from './started.ts'

const gibbon = join(import.meta.dirname, '../../src/cli/gibbon.ts')

/** Runs `gibbon reload` as its users do. */
async function reload({ prefix }: Started): Promise<{ status: number; said: string }> {
  const env = { PATH: process.env['PATH'], KONG_PREFIX: prefix }
  const child = spawn(process.execPath, [gibbon, 'reload', '--json'], { env })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const [status] = (await once(child, 'close')) as [number]
  return { status, said }
}

const portOf = (url: string | undefined): number => Number(new URL(url ?? '').port)

/** A service on `port` with a route for everything, through the Admin API. */
async function serve(gateway: Started, port: number): Promise<void> {
  await gateway.put('/services/up', { host: '127.0.0.1', port })
  await gateway.put('/services/up/routes/all', { paths: ['/'], strip_path: false })
}

const trials = {
  'lose no request, no WebSocket and no call': {},
  'and drains close WebSockets in good order, and lose nothing else': { drainAfter: '0.1s' },
  'lose nothing with PostgreSQL, and refuse no write': { database: 'postgres' },
} as const
for (const [how, trial] of Object.entries(trials)) {
  const skip = 'database' in trial && withoutPostgres
  test(`replacements and reloads under load ${how}`, { skip }, async () => {
    const result = await tryReloads({ replacements: 3, reloads: 3, perSecond: 100, ...trial })
    assert.deepEqual(result.lost, [])
    assert.equal(result.answered, result.sent)
    assert.ok(Object.values(result.answeredOver).every((count) => count > 0))
    assert.deepEqual(result.ended, [])
    assert.equal(result.heard, result.said)
    assert.equal(result.processes, 4)
    if ('drainAfter' in trial) assert.ok(result.reopened > 0)
    if ('database' in trial) assert.ok(result.written > 0)
  })
}

test('while every worker is busy, connections wait for the new process', async () => {
  const preload = join(import.meta.dirname, 'busy.child.ts')
  const { lost, sent, answered } = await tryReloads({ replacements: 2, reloads: 0, perSecond: 50, preload })
  assert.deepEqual(lost, [])
  assert.equal(answered, sent)
})

test('a request in flight ends in the old process, a kept connection is told, and the new one takes over all settings', async () => {
  const upstream = await startUpstream()
  const slow = Promise.withResolvers<void>()
  upstream.serve = onRequests(({ head }, socket) => {
    const answer = () => socket.write(ok('done'))
    if (head.startsWith('GET /slow')) void slow.promise.then(answer)
    else answer()
  })
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-replacing-')), 'gibbon.conf')
  writeFileSync(file, 'headers = server_tokens\n')
  const gateway = await startProcess({ proxy_error_log: 'error.log' }, ['-c', file])
  await serve(gateway, upstream.port)
  const port = portOf(gateway.proxy[0])
  const [inFlight, kept, fresh] = [client(port), client(port), client(port)]
  inFlight.send(request('/slow'))
  kept.send(request('/kept'))
  await kept.until(/done$/)
  assert.match(kept.text(), /\r\nConnection: keep-alive\r\n/)
  assert.match(kept.text(), /\r\nServer: gibbon/)

  writeFileSync(file, 'headers = off\n')
  const { status, said } = await reload(gateway)
  assert.equal(status, 0, said)
  const { replaced, pid } = JSON.parse(said) as { replaced: number; pid: number }
  assert.equal(replaced, gateway.child.pid)
  assert.equal(runningGateway(gateway.prefix), pid)

  kept.send(request('/kept'))
  await kept.until(/done[^]*done$/)
  assert.match(kept.text(), /keep-alive[^]*\r\nConnection: close\r\n/, 'its next answer tells it')
  await kept.closed()
  fresh.send(request('/fresh'))
  await fresh.until(/done$/)
  const later = client(port)
  later.send(request('/later'))
  await later.until(/done$/)
  assert.doesNotMatch(later.text(), /\r\nServer:/, 'the new settings hold')
  slow.resolve()
  await inFlight.until(/done$/)
  await inFlight.closed()
  assert.equal(await gateway.stop(), 0)
  assert.equal(runningGateway(gateway.prefix), undefined)
  upstream.close()
})

test('what stands in the way of the new process is told, and the old one serves and writes on', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-replacing-')), 'gibbon.conf')
  writeFileSync(file, '')
  const gateway = await startProcess({}, ['-c', file])
  await serve(gateway, upstream.port)
  await gateway.put('/plugins/00000000-0000-4000-8000-000000000001', {
    name: 'request-termination',
    route: { name: 'all' },
    enabled: false,
  })
  const wrong = {
    'log_level = loud': /log_level = .*loud/,
    // Found when the store has been left to the new process already.
    'plugins = jwt': /the plugin request-termination is in use/,
  }
  for (const [content, reason] of Object.entries(wrong)) {
    writeFileSync(file, content)
    const { status, said } = await reload(gateway)
    assert.equal(status, 1)
    assert.match(said, /not reloaded/)
    assert.match(said, reason)
    assert.equal(runningGateway(gateway.prefix), gateway.child.pid)
  }
  const written = await gateway.put('/services/up/routes/all', { paths: ['/other'], strip_path: false })
  assert.equal(written.status, 200)
  const one = client(portOf(gateway.proxy[0]))
  one.send(request('/other'))
  await one.until(/other$/)
  one.socket.destroy()
  writeFileSync(file, '')
  const mended = await reload(gateway)
  assert.equal(mended.status, 0, mended.said)
  const ended = await gateway.stop()
  assert.equal(ended, 0, gateway.stderr())
  upstream.close()
})

test('what one process writes is in force in the other, as long as both serve', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({})
  await serve(gateway, upstream.port)
  const port = portOf(gateway.proxy[0])
  const [one, other] = [client(port), client(port)]
  for (const { send, until: comes } of [one, other]) {
    send(request('/before'))
    await comes(/before$/)
  }
  // Connections to the Admin API that the old process goes on to answer.
  const admin = [client(portOf(gateway.admin[0])), client(portOf(gateway.admin[0]))]
  for (const { send, until: comes } of admin) {
    send(request('/services/up'))
    await comes(/\}$/)
  }
  const { status, said } = await reload(gateway)
  assert.equal(status, 0, said)

  const [first, second] = admin.map(({ send, until: comes }) => async (name: string) => {
    const body = JSON.stringify({ name, host: '127.0.0.1', port: upstream.port })
    send(
      `POST /services HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    send(body)
    await comes(/HTTP\/1\.1 201 [^]*\r\nConnection: close\r\n/)
  })
  await Promise.all([first?.('written-by-the-old'), second?.('this-too')])
  const listed = (await (await fetch(`${gateway.admin[0]}/services`)).json()) as { data: { name: string }[] }
  assert.deepEqual(listed.data.map(({ name }) => name).toSorted(), ['this-too', 'up', 'written-by-the-old'])

  await gateway.put('/services/up/routes/all', { paths: ['/elsewhere'] })
  one.send(request('/before'))
  await one.until(/404 Not Found/)
  await fetch(`${gateway.admin[0]}/services/up/routes/all`, { method: 'DELETE' })
  other.send(request('/elsewhere'))
  await other.until(/404 Not Found/)
  assert.equal(await gateway.stop(), 0)
  upstream.close()
})

test('a TLS session is resumed with the new process, and a handshake may be under way when that comes', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({ proxy_listen: '127.0.0.1:0 ssl http2' })
  await serve(gateway, upstream.port)
  const options = { port: portOf(gateway.proxy[0]), host: '127.0.0.1', rejectUnauthorized: false }
  const before = tls.connect(options)
  const [session] = (await once(before, 'session')) as [Buffer]
  const clients = await heldClients(options.port)
  await Promise.all(Array.from(clients.values(), ({ held }) => held()))
  const { status, said } = await reload(gateway)
  assert.equal(status, 0, said)
  for (const { release } of clients.values()) release()
  for (const [name, { answer, close }] of clients) {
    assert.match(
      await answer,
      name.startsWith('HTTP/2') ? /^200 \/late$/ : /\r\nConnection: close\r\n[^]*\/late$/,
      name,
    )
    close()
  }
  const resumed = tls.connect({ ...options, session })
  await once(resumed, 'secureConnect')
  assert.ok(resumed.isSessionReused())
  for (const socket of [before, resumed]) socket.destroy()
  assert.equal(await gateway.stop(), 0)
  upstream.close()
})

test('signals to the process that was started first reach the one that serves', async () => {
  const origin = await startOrigin('origin')
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-replacing-')), 'kong.json')
  const declare = (path: string) => {
    const routes = [{ name: 'all', paths: [path], strip_path: false }]
    const services = [{ name: 'up', host: '127.0.0.1', port: origin.port, routes }]
    writeFileSync(`${file}.new`, JSON.stringify({ _format_version: '3.0', services }))
    renameSync(`${file}.new`, file)
  }
  declare('/one')
  const gateway = await startProcess({ database: 'off', declarative_config: file, proxy_error_log: 'error.log' })
  const port = portOf(gateway.proxy[0])
  const { status, said } = await reload(gateway)
  assert.equal(status, 0, said)
  const statusOf = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status
  assert.equal(await statusOf('/one'), 200)
  declare('/two')
  gateway.child.kill('SIGHUP')
  await untilAsync(async () => (await statusOf('/two')) === 200)
  const talk = await chat(port, '/two')
  assert.equal(await gateway.stop(), 0)
  await until(
    () => talk.ended !== undefined,
    () => 'the WebSocket to end',
  )
  assert.equal(runningGateway(gateway.prefix), undefined)
  assert.doesNotMatch(readFileSync(join(gateway.prefix, 'error.log'), 'utf8'), /crit|error/)
  origin.close()
})

test('where the process that was started first is killed, the one that serves goes on, and is replaced in its turn', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({})
  await serve(gateway, upstream.port)
  const port = portOf(gateway.proxy[0])
  const { said } = await reload(gateway)
  const { pid } = JSON.parse(said) as { pid: number }
  gateway.child.kill('SIGKILL')
  await once(gateway.child, 'exit')
  const one = client(port)
  one.send(request('/one'))
  await one.until(/one$/)
  const again = await reload(gateway)
  assert.equal(again.status, 0, again.said)
  assert.equal((JSON.parse(again.said) as { replaced: number }).replaced, pid)
  const { status } = await askLocally(gateway.prefix, 'GET', '/status')
  assert.equal(status, 200)
  process.kill(pid, 'SIGTERM')
  await untilAsync(async () => runningGateway(gateway.prefix) === undefined)
  one.socket.destroy()
  upstream.close()
})

async function untilAsync(isSo: () => Promise<boolean>): Promise<void> {
  for (let left = 1500; !(await isSo()); left--) {
    assert.ok(left > 0, 'waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
