/** Filter chains with `wasm = on`: accepted and listed, and never passed over. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { withFilters } from './filters.ts'
import { until } from './sockets.ts'
import { startProcess, type Started } from './started.ts'

const installed = withFilters()
const folder = installed.wasm_filters_path
for (const file of ['rewrite.WASM', 'notes.txt']) writeFileSync(join(folder, file), '')
const config_schema = { type: 'object', properties: { to: { type: 'string' } } }
writeFileSync(join(folder, 'rewrite.meta.json'), JSON.stringify({ config_schema }))
const settings = { ...installed, proxy_error_log: '/dev/stderr' }
const refused = 'This gateway does not run filter chains'

const upstream = createServer((_, response) => response.end('ok'))
let gateway: Started
let url: string

before(async () => {
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  gateway = await startProcess(settings)
})
after(async () => {
  await gateway.stop()
  upstream.close()
})

const put = async (path: string, body: object) => {
  const response = await gateway.put(path, body)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const read = async (path: string) =>
  (await (await fetch(`${gateway.admin[0]}${path}`)).json()) as Record<string, unknown>
const ask = async (path: string) => {
  const response = await fetch(`${gateway.proxy[0]}${path}`)
  return [response.status, await response.text()] as const
}

test('a chain is kept, listed, and lets nothing through that it is for', async () => {
  await put('/services/s', { url })
  for (const name of ['a', 'b']) await put(`/services/s/routes/${name}`, { paths: [`/${name}`] })
  const filters = [
    { name: 'waf', config: 'strict' },
    { name: 'rewrite', config: { to: '/x' }, enabled: false },
  ]
  const { status, body } = await put('/filter-chains/guard', {
    route: { id: (await read('/routes/a'))['id'] },
    filters,
  })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(body['filters'], [
    { name: 'waf', config: 'strict', enabled: true },
    { name: 'rewrite', config: { to: '/x' }, enabled: false },
  ])
  const [code, text] = await ask('/a')
  assert.deepEqual([code, (JSON.parse(text) as { message: string }).message], [500, refused])
  assert.deepEqual(await ask('/b'), [200, 'ok'])
  const told = `filter chain ${String(body['id'])}: requests that it is for are answered with 500`
  await until(
    () => gateway.stderr().includes(told),
    () => told,
  )

  const from = { from: 'route', filter_chain: { id: body['id'], name: 'guard' } }
  const [waf, rewrite] = [
    { name: 'waf', config: 'strict', enabled: true, ...from },
    { name: 'rewrite', config: { to: '/x' }, enabled: false, ...from },
  ]
  assert.deepEqual(await read('/routes/a/filters/all'), { filters: [waf, rewrite] })
  assert.deepEqual(await read('/routes/a/filters/enabled'), { filters: [waf] })
  assert.deepEqual(await read('/routes/a/filters/disabled'), { filters: [rewrite] })
  assert.deepEqual(await read('/routes/b/filters/all'), { filters: [] })
  assert.deepEqual(await read('/routes/c/filters/all'), { message: 'Not found' })
  for (const path of ['/filter-chains', '/routes/a/filter-chains'])
    assert.deepEqual(
      ((await read(path))['data'] as { id: string }[]).map(({ id }) => id),
      [body['id']],
      path,
    )
  assert.deepEqual(await read('/schemas/filters/rewrite'), config_schema)
  assert.deepEqual((await read('/schemas/filters/waf'))['type'], ['string', 'null'])
  assert.deepEqual(await read('/schemas/filters/notes'), { message: "Filter 'notes' not found" })
  assert.equal(((await read('/'))['configuration'] as { wasm: boolean }).wasm, true)
})

test("a service's chain is for all of its routes, after who may pass is known, and not once it is off", async () => {
  await put('/services/s2', { url })
  await put('/services/s2/routes/d', { paths: ['/d'] })
  const chain = { service: { id: (await read('/services/s2'))['id'] }, filters: [{ name: 'waf' }] }
  assert.equal((await put('/filter-chains/all', chain)).status, 200)
  assert.equal((await ask('/d'))[0], 500)
  const plugin = '/services/s2/plugins/00000000-0000-4000-8000-0000000005ed'
  await put(plugin, { name: 'key-auth' })
  assert.equal((await ask('/d'))[0], 401)
  assert.equal((await fetch(`${gateway.admin[0]}${plugin}`, { method: 'DELETE' })).status, 204)
  assert.equal((await ask('/d'))[0], 500)
  await put('/filter-chains/all', { ...chain, enabled: false })
  assert.deepEqual(await ask('/d'), [200, 'ok'])
  await put('/filter-chains/all', { ...chain, filters: [{ name: 'waf', enabled: false }] })
  assert.deepEqual(await ask('/d'), [200, 'ok'])
  await put('/filter-chains/all', chain)
  assert.equal((await ask('/d'))[0], 500)
  assert.equal((await fetch(`${gateway.admin[0]}/filter-chains/all`, { method: 'DELETE' })).status, 204)
  assert.deepEqual(await ask('/d'), [200, 'ok'])
})

test('only filters that are installed can be named, with a config that is theirs', async () => {
  const wrong = await put('/filter-chains/wrong', {
    service: { id: (await read('/services/s'))['id'] },
    filters: [{ name: 'waf', config: { a: 1 } }, { name: 'notes' }],
  })
  assert.equal(wrong.status, 400)
  assert.deepEqual(wrong.body['fields'], {
    filters: [
      { '@entity': ['config: wrong type: expected one of string, null, got object'] },
      { name: 'no such filter' },
    ],
  })
  const second = { route: { id: (await read('/routes/a'))['id'] }, filters: [{ name: 'waf' }] }
  assert.equal((await put('/filter-chains/second', second)).status, 409)
})

test('a declarative file may have chains where the setting says so, and a gateway that is wrongly set does not start', async () => {
  const file = join(folder, 'kong.json')
  const chain = (name: string) => ({ filters: [{ name }] })
  const write = (name: string) =>
    writeFileSync(
      file,
      JSON.stringify({
        _format_version: '3.0',
        services: [{ name: 's', url, filter_chains: [chain(name)], routes: [{ name: 'r', paths: ['/r'] }] }],
      }),
    )
  const declared = { ...settings, database: 'off', declarative_config: file }
  write('waf')
  const other = await startProcess(declared)
  assert.equal((await fetch(`${other.proxy[0]}/r`)).status, 500)
  assert.equal(await other.stop(), 0)
  await assert.rejects(startProcess({ ...declared, wasm: 'off' }), /wasm support is not enabled/)
  await assert.rejects(startProcess({ ...declared, wasm: 'off', prefix: other.prefix }), /wasm support is not enabled/)
  await assert.rejects(startProcess({ ...declared, wasm_filters: 'off' }), /no wasm filters are available/)
  write('else')
  await assert.rejects(startProcess(declared), /no such filter/)
  await assert.rejects(
    startProcess({ wasm: 'on', wasm_filters_path: `${folder}/none` }),
    /wasm_filters_path = ".*none".*expected a folder/,
  )
  const broken = withFilters()
  writeFileSync(join(broken.wasm_filters_path, 'waf.meta.json'), '{')
  await assert.rejects(startProcess(broken), /wasm_filters_path: .*waf\.meta\.json: /)
})
