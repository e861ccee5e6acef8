/** References to vaults that stand for nothing: what they are in, and nothing else, does not work. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProcess } from './started.ts'

test('a plugin without its secret refuses its own requests, and holds back nothing that comes later', async (t) => {
  const upstream = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.after(() => upstream.close())
  const gateway = await startProcess({ proxy_error_log: 'error.log' })
  const put = async (path: string, body: object) => assert.equal((await gateway.put(path, body)).status, 200, path)
  const get = async (path: string) => {
    const response = await fetch(`${gateway.proxy[0]}${path}`)
    return [response.status, await response.text()] as const
  }
  await put('/services/s', { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` })
  for (const name of ['a', 'b']) await put(`/services/s/routes/${name}`, { paths: [`/${name}`] })
  const plugin = '/plugins/00000000-0000-4000-8000-0000000005ec'
  const webhooks = (secret_v1: string) => ({ name: 'standard-webhooks', route: { name: 'a' }, config: { secret_v1 } })
  await put(plugin, webhooks('{vault://env/not-there-at-all}'))
  const [status, text] = await get('/a')
  assert.deepEqual([status, JSON.parse(text).message], [500, 'An unexpected error occurred'])
  await put('/services/s/routes/c', { paths: ['/c'] })
  assert.deepEqual(
    [await get('/b'), await get('/c')],
    [
      [200, 'ok'],
      [200, 'ok'],
    ],
  )
  await put(plugin, webhooks('there'))
  assert.equal((await get('/a'))[0], 400, 'the plugin itself answers')
  assert.equal(await gateway.stop(), 0)
  const told = readFileSync(join(gateway.prefix, 'error.log'), 'utf8').match(/answered with 500: .*not-there-at-all/g)
  assert.equal(told?.length, 1, 'one worker of two tells')
})
