/** A gateway that stops: what is under way is finished, what is idle is closed, and what takes too long is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneService } from './data-plane.ts'
import { heldClients } from './held-way.ts'
import { startProcess } from './process.ts'
import { client, echoTargets, ok, onRequests, pause, request, startUpstream } from './sockets.ts'

test('requests in flight are finished, idle connections closed, kept ones told, and new ones refused', async () => {
  const upstream = await startUpstream()
  upstream.serve = onRequests(({ head }, socket) => {
    if (head.startsWith('GET /slow')) setTimeout(() => socket.write(ok('slow is done')), 600)
    else socket.write(ok('quick'))
  })
  const gateway = await startProcess({ config: oneService(upstream.port) })
  const [idle, slow, uploading] = [client(gateway.port), client(gateway.port), client(gateway.port)]
  idle.send(request('/quick'))
  await idle.until(/quick$/)
  slow.send(request('/slow'))
  uploading.send('POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhalf'.slice(0, -2))
  await pause(100)
  const stopped = gateway.stop()
  await idle.closed()
  await pause(100)
  uploading.send('lf')
  await slow.until(/slow is done$/)
  await uploading.until(/quick$/)
  await Promise.all([slow.closed(), uploading.closed()])
  assert.match(slow.text(), /\r\nConnection: close\r\n/)
  assert.match(uploading.text(), /\r\nConnection: close\r\n/)
  assert.equal(await stopped, 0)
  assert.doesNotMatch(gateway.log(), /cut off/)
  upstream.close()
})

test('what has not finished within drain_timeout is cut, and the log names it', async () => {
  const upstream = await startUpstream()
  upstream.serve = () => {}
  const gateway = await startProcess({
    config: oneService(upstream.port),
    settings: { GIBBON_DRAIN_TIMEOUT: '300ms' },
  })
  const clients = [client(gateway.port), client(gateway.port)]
  for (const { send } of clients) send(request('/for-ever'))
  await pause(100)
  assert.equal(await gateway.stop(), 0)
  for (const { closed } of clients) await closed()
  const line =
    gateway
      .log()
      .split('\n')
      .find((text) => text.includes('cut off')) ?? '{}'
  const told = JSON.parse(line) as {
    message: string
    requests: { request_id: string; route: string; service: string }[]
  }
  assert.match(told.message, /^2 requests in flight were cut off/)
  assert.equal(told.requests.length, 2)
  for (const one of told.requests) {
    assert.match(one.request_id, /^[0-9a-f]{32}$/)
    assert.match(`${one.route} ${one.service}`, /^[0-9a-f-]{36} [0-9a-f-]{36}$/)
  }
  upstream.close()
})

test('an idle gateway stops at once', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({ config: oneService(upstream.port), settings: { GIBBON_DRAIN_TIMEOUT: '60s' } })
  const one = client(gateway.port)
  one.send(request('/one'))
  await one.until(/one$/)
  assert.equal(await gateway.stop(), 0)
  upstream.close()
})

test('a TLS handshake that is under way may be finished, and its request is answered', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({ config: oneService(upstream.port), flags: 'ssl http2' })
  const clients = await heldClients(gateway.port)
  await Promise.all(Array.from(clients.values(), ({ held }) => held()))
  const stopped = gateway.stop()
  await pause(300)
  for (const { release } of clients.values()) release()
  for (const [name, { answer, close }] of clients) {
    assert.match(
      await answer,
      name.startsWith('HTTP/2') ? /^200 \/late$/ : /\r\nConnection: close\r\n[^]*\/late$/,
      name,
    )
    close()
  }
  assert.equal(await stopped, 0)
  assert.doesNotMatch(gateway.log(), /cut off/)
  upstream.close()
})

test('who does not go on with a handshake does not hold the gateway up for as long as drain_timeout', async () => {
  const gateway = await startProcess({ config: oneService(1), flags: 'ssl', settings: { GIBBON_DRAIN_TIMEOUT: '1h' } })
  const silent = client(gateway.port)
  silent.send('\x16\x03\x01\x02\x00\x01')
  await pause(100)
  assert.equal(await gateway.stop(), 0)
  await silent.closed()
})
