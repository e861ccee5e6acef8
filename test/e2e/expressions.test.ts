/** The expressions router as clients meet it: a whole gateway with a declarative file. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway, type Gateway } from '../../src/main.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-expressions-'))
let gateway: Gateway
/** Answers with its own target. */
const upstream = http.createServer((request, response) => response.end(request.url))

before(async () => {
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  const { port } = upstream.address() as AddressInfo
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      database: 'off',
      router_flavor: 'expressions',
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '1',
      proxy_access_log: 'off',
      declarative_config_string: `
_format_version: "3.0"
services:
  - name: up
    url: http://127.0.0.1:${port}/base
    routes:
      - { name: prefix, expression: 'http.path ^= "/shop" && net.src.ip in 127.0.0.0/8', priority: 1 }
      - { name: items, expression: 'http.path ~ r#"^/shop/items/\\d+"#', priority: 2 }
      - { name: post, expression: 'http.method == "POST" && any(http.queries.q) == "1"', strip_path: false }
      - { name: secure, expression: 'http.path == "/secure"', protocols: [https] }
      - { name: fields, paths: [/fields] }
`,
    },
  })
  assert.ok(loaded.ok)
  gateway = await startGateway(loaded.settings)
})

after(async () => {
  await gateway.stop()
  upstream.close()
  rmSync(folder, { recursive: true })
})

async function ask(path: string, method = 'GET'): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}${path}`, { method })
  return `${response.status} ${response.ok ? await response.text() : ''}`.trim()
}

test('requests take the route whose expression they fulfil, and lose what it matched of their path', async () => {
  assert.equal(await ask('/shop/cart'), '200 /base/cart')
  assert.equal(await ask('/shop/items/12/more'), '200 /base/more')
  assert.equal(await ask('/any?q=0&q=1', 'POST'), '200 /base/any?q=0&q=1')
  assert.equal(await ask('/any?q=2', 'POST'), '404')
  assert.equal(await ask('/secure'), '426')
  assert.equal(await ask('/fields/x'), '200 /base/x')
})
