/** A whole gateway and an identity provider that nobody here wrote: discovery, rotation under load, outage. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { startGateway } from '../../src/main.ts'
import { sendTo } from '../admin/fixture.ts'
import { keyNamed, newTokenOf, providerOf } from '../identity-provider.ts'
import { startForTest } from './gateway.ts'

const unavailable: RequestListener = (_, response) => response.writeHead(503).end()

test('tokens of a real identity provider are let in, while its keys rotate under load and while it is out', async (t) => {
  let serve: RequestListener = unavailable
  let fetches = 0
  const idp = createServer((request, response) => {
    if (request.url === '/jwks') fetches++
    serve(request, response)
  })
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(idp.address() as AddressInfo).port}`
  const upstream = createServer((request, response) => response.end(JSON.stringify(request.headers)))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const { gateway, settings } = await startForTest(t)
  t.after(() => {
    for (const server of [idp, upstream]) {
      server.closeAllConnections()
      server.close()
    }
  })
  const admin = async (method: string, path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
  }
  const ask = async (token: string) => {
    const response = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/`, {
      headers: { authorization: `Bearer ${token}` },
    })
    return { status: response.status, body: await response.text() }
  }

  const [first, second] = [keyNamed('first'), keyNamed('second')]
  serve = providerOf(issuer, { keys: [first] })
  await admin('PUT', '/services/up', { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` })
  await admin('PUT', '/services/up/routes/all', { paths: ['/'] })
  await admin('PUT', '/consumers/app', {})
  await admin('POST', '/plugins', {
    name: 'jwt',
    config: {
      issuers: [{ issuer }],
      consumer_claim: ['client_id'],
      audience_required: ['orders'],
      scopes_required: ['orders:read'],
      token_types: ['at+jwt'],
      upstream_headers: [{ name: 'X-Scope', claim: ['scope'] }],
    },
  })
  const old = await newTokenOf(issuer)
  const answer = await ask(old)
  assert.equal(answer.status, 200, answer.body)
  const headers = JSON.parse(answer.body) as Record<string, string>
  assert.deepEqual([headers['x-consumer-username'], headers['x-scope']], ['app', 'orders:read'])

  const load = { goesOn: true, statuses: [] as number[] }
  const loading = Array.from({ length: 4 }, async () => {
    while (load.goesOn) load.statuses.push((await ask(old)).status)
  })
  serve = providerOf(issuer, { keys: [second, first] })
  const fresh = await newTokenOf(issuer)
  assert.deepEqual([(await ask(fresh)).status, (await ask(old)).status], [200, 200])

  const before = fetches
  const made = `${Buffer.from('{"alg":"RS256","kid":"made-up"}').toString('base64url')}.${fresh.split('.')[1]}.AAAA`
  const refused = await Promise.all(Array.from({ length: 50 }, () => ask(made)))
  assert.ok(refused.every(({ status }) => status === 401))
  assert.ok(fetches - before <= 2, `${fetches - before} fetches for 50 made-up keys`)

  serve = unavailable
  assert.deepEqual([(await ask(fresh)).status, (await ask(made)).status, (await ask(old)).status], [200, 401, 200])
  load.goesOn = false
  await Promise.all(loading)

  await gateway.stop()
  const again = await startGateway(settings)
  t.after(() => again.stop())
  const response = await fetch(`http://127.0.0.1:${again.proxyPorts[0]}/`, {
    headers: { authorization: `Bearer ${fresh}` },
  })
  assert.equal(response.status, 200, 'the keys outlive a restart while the provider is out')
  assert.ok(load.statuses.length > 0 && load.statuses.every((status) => status === 200))
})
