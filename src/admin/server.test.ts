import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sendTo, startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'
import { serverCertificate } from '../config/self-signed.ts'

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin({
    admin_hosts: ['admin.example.test'],
    admin_origins: ['https://manager.example.test'],
  })
})
after(async () => {
  await admin.stop()
  assert.deepEqual(admin.errors, [], 'nothing that a client sent made the server fail')
})

/** Sends bytes and gives back all that comes until the server closes, or until it has been silent for a while. */
function raw(bytes: string | Buffer, silenceMs = 300): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(admin.port, '127.0.0.1', () => socket.write(bytes))
    socket.setTimeout(silenceMs, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

test('what is no HTTP gets the page that nginx sends', async () => {
  assert.match(
    await raw('GARBAGE\r\n\r\n'),
    /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: text\/html; charset=UTF-8\r\n.*<h1>400 Bad Request<\/h1>/s,
  )
})

test('a method that nobody knows is not allowed, on a kept-alive connection too', async () => {
  const get = 'GET /services HTTP/1.1\r\nHost: localhost\r\n\r\n'
  assert.match(
    await raw('FOO /services HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    /405 Method Not Allowed.*Method not allowed/s,
  )
  assert.match(await raw('FOO /nope HTTP/1.1\r\nHost: localhost\r\n\r\n'), /404 Not Found/)
  assert.match(await raw(`${get}BREW /services HTTP/1.1\r\nHost: localhost\r\n\r\n`), /200 OK.*405 Method Not Allowed/s)
})

test('headers beyond 32 KiB are refused', async () => {
  assert.match(
    await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`),
    /^HTTP\/1\.1 400 /,
  )
})

test('a body beyond 10 MB is refused with 413, whether its length is announced or not, and the connection goes on', async () => {
  const announced = await sendTo(admin.port, 'POST', '/services', 'x'.repeat(10 * 1024 * 1024 + 1), {
    'Content-Type': 'application/json',
  })
  assert.equal(announced.status, 413)
  assert.match(String(announced.headers['content-type']), /text\/html/)
  const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`
  const chunked = `POST /services HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(11)}0\r\n\r\n`
  const answers = await raw(`${chunked}GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n`, 1500)
  assert.match(answers, /^HTTP\/1\.1 413 .*HTTP\/1\.1 200 OK/s)
})

test('a web page of another origin cannot write, nor read what it asks for', async () => {
  const evil = { Origin: 'https://evil.test' }
  const form = { ...evil, 'Content-Type': 'application/x-www-form-urlencoded' }
  assert.equal((await admin.send('POST', '/consumers', 'username=mallory', form)).status, 403)
  assert.equal((await admin.send('DELETE', '/consumers/alice', undefined, evil)).status, 403)
  assert.equal((await admin.send('POST', '/consumers', 'username=m', { ...form, Origin: 'null' })).status, 403)
  const site = { 'Sec-Fetch-Site': 'cross-site', 'Content-Type': 'application/x-www-form-urlencoded' }
  assert.equal((await admin.send('POST', '/consumers', 'username=mallory', site)).status, 403)
  assert.equal((await admin.send('GET', '/consumers')).json.data.length, 0)
  const read = await admin.send('GET', '/jwts', undefined, evil)
  assert.equal(read.headers['access-control-allow-origin'], undefined)
  const preflight = await admin.send('OPTIONS', '/consumers', undefined, evil)
  assert.equal(preflight.headers['access-control-allow-methods'], undefined)
})

test('an allowed origin and the API itself may write, and a rebound name may not even read', async () => {
  for (const Origin of ['https://manager.example.test', `http://127.0.0.1:${admin.port}`]) {
    const answer = await admin.send('PUT', '/consumers/friend', {}, { Origin })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['access-control-allow-origin'], Origin)
  }
  assert.equal((await admin.send('DELETE', '/consumers/friend')).status, 204)
  assert.equal((await admin.send('GET', '/consumers', undefined, { Host: 'rebound.evil.test' })).status, 403)
  assert.equal((await admin.send('GET', '/consumers', undefined, { Host: 'admin.example.test' })).status, 200)
})

test('patches that arrive together all take effect', async () => {
  await admin.send('PUT', '/routes/busy', { paths: ['/busy'] })
  const changes = Array.from({ length: 20 }, (_, index) => ({ headers: undefined, index }))
  await admin.send('POST', '/plugins', { name: 'jwt', instance_name: 'busy' })
  const fields = ['key_claim_name', 'realm', 'anonymous'] as const
  const answers = await Promise.all(
    changes.map(({ index }) =>
      admin.send('PATCH', '/plugins/busy', { config: { [fields[index % 3] ?? 'realm']: `v${index}` } }),
    ),
  )
  for (const { status, text } of answers) assert.equal(status, 200, text)
  const { config } = (await admin.send('GET', '/plugins/busy')).json
  for (const field of fields) assert.match(config[field], /^v\d+$/, `${field} was lost to a patch of another field`)
  await admin.send('DELETE', '/plugins/busy')
})

test('puts of one new name that arrive together make one entity', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => admin.send('PUT', '/consumers/once', {})))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(new Set(answers.map(({ json }) => json.id)).size, 1)
  await admin.send('DELETE', '/consumers/once')
})

test('a replaced entity keeps its age, and a body cannot give it another id', async () => {
  const first = await admin.send('PUT', '/consumers/old', { created_at: 5 })
  const second = await admin.send('PUT', '/consumers/old', {
    id: '00000000-0000-4000-8000-000000000001',
    custom_id: 'c',
  })
  assert.equal(second.json.created_at, 5)
  assert.equal(second.json.id, first.json.id)
  await admin.send('DELETE', '/consumers/old')
})

test('an entity put under a new name takes the id that its body gives, unless it is none or is taken', async () => {
  const id = '0c5c1d52-7d4c-4c0e-9a5d-3a1d9f3b7c01'
  const put = (name: string, body: object) => admin.send('PUT', `/services/${name}`, { host: 'h.test', ...body })
  assert.deepEqual((await put('chosen', { id })).json.id, id)
  assert.deepEqual((await put('chosen', { id: id.replace('01', '02') })).json.id, id, 'a known name keeps its id')
  const taken = await put('chosen-too', { id })
  assert.deepEqual([taken.status, taken.json.code], [400, 3])
  assert.equal((await admin.send('GET', `/services/${id}`)).json.name, 'chosen')
  for (const wrong of [
    await put('chosen', { id: 'x' }),
    await put(id, { id: 'x' }),
    await put('chosen-3', { id: 7 }),
    await admin.send('PATCH', '/services/chosen', { id: 'x' }),
  ]) {
    assert.deepEqual([wrong.status, Object.keys(wrong.json.fields)], [400, ['id']])
  }
})

test('an id in capital letters is the one in small letters', async () => {
  const id = '9D0B7A3E-52C4-4D1B-8E55-7F6A1C2E9B44'
  const small = id.toLowerCase()
  assert.equal((await admin.send('POST', '/services', { id, host: 'h.test' })).json.id, small)
  assert.equal((await admin.send('GET', `/services/${id}`)).json.id, small)
  const route = await admin.send('POST', '/routes', { paths: ['/capital'], service: { id } })
  assert.deepEqual([route.status, route.json.service], [201, { id: small }])
  assert.equal((await admin.send('POST', '/services', { id, host: 'h.test' })).json.code, 3)
})

test('an id that a file says in capital letters is found by them', async (t) => {
  const off = await startTestAdmin({ database: 'off' })
  t.after(() => off.stop())
  const id = '3F2504E0-4F89-41D3-9A0C-0305E82C3301'
  const services = [{ id, host: 'h.test', routes: [{ paths: ['/'] }] }]
  assert.equal((await off.send('POST', '/config', { _format_version: '3.0', services })).status, 201)
  assert.equal((await off.send('GET', `/services/${id}`)).json.id, id)
  assert.equal((await off.send('GET', `/services/${id}/routes`)).json.data.length, 1)
})

test('an entity written is read at once, and one deleted is gone at once', async () => {
  for (let round = 0; round < 20; round++) {
    await admin.send('PUT', '/consumers/now', { custom_id: `c${round}` })
    assert.equal((await admin.send('GET', '/consumers/now')).json.custom_id, `c${round}`)
  }
  await admin.send('DELETE', '/consumers/now')
  assert.equal((await admin.send('GET', '/consumers/now')).status, 404)
})

test('odd keys, types and nesting are a 400 or harmless, never a 500', async () => {
  const bodies = [
    '{"__proto__":{"a":1},"username":"odd"}',
    '{"constructor":1,"username":"odd"}',
    '{"username":{"toString":1}}',
    '{"username":["x"]}',
    '{"tags":{"__proto__":["a"]},"username":"odd"}',
    '{"custom_id":1e400}',
    '{"username":"\\ud800"}',
    '{"username":"a\\u0000b"}',
    '[["username","x"]]',
    '"text"',
    '{"id":null,"username":"odd"}',
    `{"username":"${'x'.repeat(1_000_000)}"}`,
  ]
  for (const body of bodies) {
    for (const path of ['/consumers', '/services', '/routes', '/plugins', '/upstreams', '/schemas/plugins/validate']) {
      const answer = await admin.send('POST', path, body, { 'Content-Type': 'application/json' })
      assert.ok(answer.status < 500, `${path} ${body.slice(0, 60)} ${answer.status}`)
      if (answer.status === 201) await admin.send('DELETE', `${path}/${answer.json.id}`)
    }
  }
  const map = await admin.send('POST', '/routes', '{"paths":["/p"],"headers":{"__proto__":["x"]}}', {
    'Content-Type': 'application/json',
  })
  assert.ok(map.status === 400 || map.status === 201)
  if (map.status === 201) await admin.send('DELETE', `/routes/${map.json.id}`)
})

test('odd paths and queries are a 4xx or harmless, never a 500', async () => {
  const paths = [
    '/services/%00',
    '/services/%ff%fe',
    '/services/%zz',
    '/services/..%2f..',
    '/consumers/__proto__',
    '/__proto__',
    '/constructor',
    '/schemas/__proto__',
    '/schemas/plugins/constructor',
    '/schemas/vaults/toString',
    '/consumers?size=Infinity',
    '/consumers?size=0x10',
    '/consumers?offset=%ff',
    '/consumers?tags=%ff',
    '/tags/%ff',
    `/consumers/${'a'.repeat(10_000)}`,
    '/tags?offset=WyJhIl0',
    '/services?offset=WzFd',
    '*',
    '/upstreams/%2e/health',
  ]
  for (const path of paths) {
    for (const method of ['GET', 'DELETE', 'PATCH']) {
      const { status, text } = await admin.send(method, path)
      assert.ok(status < 500, `${method} ${path} ${status} ${text}`)
    }
  }
})

test('without a database the body is judged first, then the write is refused', async (t) => {
  const off = await startTestAdmin({ database: 'off' })
  t.after(() => off.stop())
  assert.equal((await off.send('POST', '/services', {})).status, 400)
  const refused = await off.send('POST', '/services', { host: 'h.test' })
  assert.deepEqual([refused.status, refused.json.code], [405, 12])
  assert.equal((await off.send('GET', '/')).json.configuration.database, 'off')
})

test('without a database a configuration is loaded at once, and not again while it is the same', async (t) => {
  const off = await startTestAdmin({ database: 'off' })
  t.after(() => off.stop())
  const config = '_format_version: "3.0"\nconsumers:\n- username: z\n'
  const loaded = await off.send('POST', '/config?check_hash=1', { config })
  assert.equal(loaded.status, 201)
  assert.deepEqual(
    Object.values(loaded.json.consumers).map((consumer) => (consumer as { username: string }).username),
    ['z'],
  )
  const hash = (await off.send('GET', '/status')).json.configuration_hash
  assert.match(hash, /^[0-9a-f]{32}$/)
  assert.deepEqual((await off.send('POST', '/config?check_hash=1', { config })).status, 304)
  assert.equal((await off.send('POST', '/config', { config: '_format_version: "3.0"\nservices: [{}]' })).json.code, 14)
  assert.equal(
    (await off.send('GET', '/status')).json.configuration_hash,
    hash,
    'a refused configuration changes nothing',
  )
  assert.equal((await off.send('GET', '/consumers/z')).status, 200)
})

test("a plugin's protocols must be among its route's, or those of its service's routes", async () => {
  const service = (await admin.send('POST', '/services', { name: 'grpc', url: 'http://h.test' })).json
  const plugin = (scope: object, protocols: string[]) =>
    admin.send('POST', '/plugins', { name: 'jwt', enabled: false, protocols, ...scope })
  const early = await plugin({ service: { id: service.id } }, ['http'])
  assert.equal(early.status, 201, 'a service without routes takes any')
  await admin.send('DELETE', `/plugins/${early.json.id}`)
  const route = await admin.send('POST', '/services/grpc/routes', { name: 'g', protocols: ['grpc'], hosts: ['g.test'] })
  assert.equal(route.status, 201)
  const onService = await plugin({ service: { id: service.id } }, ['http'])
  assert.deepEqual(
    [onService.status, onService.json.fields],
    [400, { protocols: "must match the protocols of at least one route pointing to this Plugin's service" }],
  )
  const onRoute = await plugin({ route: { id: route.json.id } }, ['http', 'https'])
  assert.deepEqual(
    [onRoute.status, onRoute.json.message],
    [400, "schema violation (protocols: must match the associated route's protocols)"],
  )
  const nested = await admin.send('POST', '/routes/g/plugins', { name: 'jwt', protocols: ['https'] })
  assert.equal(nested.status, 400)
  const fits = await plugin({ route: { id: route.json.id } }, ['grpc', 'http'])
  assert.equal(fits.status, 201)
  const path = `/plugins/${fits.json.id}`
  assert.equal((await admin.send('PATCH', path, { protocols: ['http'] })).status, 400)
  assert.equal((await admin.send('PATCH', path, { enabled: true })).status, 200)
  assert.equal((await admin.send('DELETE', '/routes/g')).status, 204)
  assert.equal((await admin.send('DELETE', '/services/grpc')).status, 204)
})

test('targets are listed youngest first, and their pages counted', async () => {
  await admin.send('POST', '/upstreams', { name: 'many' })
  for (const [index, created_at] of [3, 1, 2].entries()) {
    await admin.send('POST', '/upstreams/many/targets', { target: `10.0.0.${index}:80`, created_at, weight: index })
  }
  const list = async (query: string) => (await admin.send('GET', `/upstreams/many/targets${query}`)).json
  const names = ({ data }: { data: readonly { target: string }[] }) => data.map(({ target }) => target)
  assert.deepEqual(names(await list('')), ['10.0.0.0:80', '10.0.0.2:80', '10.0.0.1:80'])
  const first = await list('?size=2')
  assert.deepEqual([first.offset, first.next], ['2', '/upstreams/many/targets?offset=2'])
  const second = await list('?size=2&offset=2')
  assert.deepEqual([names(second), second.next], [['10.0.0.1:80'], null])
  assert.equal((await admin.send('GET', '/upstreams/many/targets?offset=x')).status, 400)
  assert.equal((await admin.send('DELETE', '/upstreams/many')).status, 204)
})

test('a PATCH of a plugin that is not there says so as Kong does, with its name and without', async () => {
  const path = '/plugins/00000000-0000-4000-8000-00000000dead'
  assert.deepEqual((await admin.send('PATCH', path, { enabled: false })).json, { message: 'Not found' })
  assert.equal((await admin.send('PATCH', path, { name: 'jwt', enabled: false })).json.code, 6)
})

test('without a database pages are cut before tags are looked at, as in Kong', async (t) => {
  const off = await startTestAdmin({ database: 'off' })
  t.after(() => off.stop())
  const consumers = ['a', 'b', 'c'].map((name, index) => ({
    id: `0000000${index}-0000-4000-8000-000000000000`,
    username: name,
    tags: index === 1 ? ['x', 'y'] : ['x'],
  }))
  await off.send('POST', '/config', { _format_version: '3.0', consumers })
  const page = async (query: string) => (await off.send('GET', `/consumers?${query}`)).json
  const names = ({ data }: { data: readonly { username: string }[] }) => data.map(({ username }) => username)
  const first = await page('tags=y&size=1')
  assert.deepEqual(names(first), [])
  const second = await page(`tags=y&size=1&offset=${first.offset}`)
  assert.deepEqual(names(second), ['b'])
  assert.deepEqual(names(await page('tags=x,y')), ['b'])
  assert.deepEqual(names(await page('tags=y/x')), ['a', 'b', 'c'])
  assert.equal((await off.send('GET', '/consumers?offset=!')).status, 400)
  assert.deepEqual((await off.send('GET', '/consumers?offset=zzzz')).json, { data: [], next: null })
})

test('a configuration is taken in every form that a body can have', async (t) => {
  const off = await startTestAdmin({ database: 'off' })
  t.after(() => off.stop())
  const yaml = '_format_version: "3.0"\nconsumers:\n- username: c\n'
  const json = { _format_version: '3.0', consumers: [{ username: 'c' }] }
  const part = `--B\r\nContent-Disposition: form-data; name="config"; filename="kong.yml"\r\n\r\n${yaml}\r\n--B--\r\n`
  const bodies: readonly (readonly [type: string, body: string])[] = [
    ['application/json', JSON.stringify(json)],
    ['application/json', JSON.stringify({ config: yaml })],
    ['application/json', JSON.stringify({ config: JSON.stringify(json) })],
    ['application/json; charset=utf-8', JSON.stringify({ ...json, check_hash: '0', flatten_errors: true })],
    ['text/yaml', yaml],
    ['application/yaml; charset=utf-8', yaml],
    ['application/x-www-form-urlencoded', `config=${encodeURIComponent(yaml)}&flatten_errors=1`],
    // What curl's --data-binary sends when nobody says what it is.
    ['application/x-www-form-urlencoded', yaml],
    ['multipart/form-data; boundary=B', part],
  ]
  for (const [type, body] of bodies) {
    const answer = await off.send('POST', '/config', body, { 'Content-Type': type })
    assert.equal(answer.status, 201, `${type} ${body}: ${answer.text}`)
    assert.equal(Object.keys(answer.json.consumers).length, 1)
  }
  const other = { config: `${yaml}- username: d\n`, check_hash: 1 }
  assert.equal((await off.send('POST', '/config', other)).status, 201)
  assert.equal((await off.send('POST', '/config', other)).status, 304)
  assert.equal((await off.send('POST', '/config', { config: yaml, check_hash: 1 })).status, 201)
  assert.equal((await off.send('POST', '/config?check_hash=1', { config: yaml })).status, 304)
  assert.equal((await off.send('POST', '/config?check_hash=true', { config: yaml })).status, 201)
  const wrong = { _format_version: '3.0', consumers: [{}], flatten_errors: 'ON' }
  assert.equal((await off.send('POST', '/config', wrong)).json.flattened_errors.length, 1)
  for (const type of ['text/plain', 'Application/JSON', 'application/xml']) {
    assert.equal((await off.send('POST', '/config', yaml, { 'Content-Type': type })).status, 415, type)
  }
  for (const [method, path] of [
    ['POST', '/consumers'],
    ['PUT', '/consumers/c'],
    ['PATCH', '/consumers/c'],
    ['DELETE', '/consumers/c'],
  ] as const) {
    const answer = await off.send(method, path, { username: 'd' })
    assert.deepEqual([answer.status, answer.json.code], [405, 12], method)
  }
  assert.equal((await off.send('GET', '/status')).json.configuration_hash.length, 32)
})

test('what a form says of an entity that is referred to has its types, too', async () => {
  const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const made = await admin.send('POST', '/routes', 'name=formed&paths[]=/f&service.id=&strip_path=false', type)
  assert.equal(made.status, 400)
  assert.deepEqual(made.json.fields, { service: { id: 'required field missing' } })
  const many = await admin.send('POST', '/routes', 'a=1&'.repeat(1001), type)
  assert.deepEqual([many.status, many.json], [400, { message: 'Too many arguments' }])
})

test('a query of more than 1000 arguments is refused, not read in part', async () => {
  const list = (count: number) => admin.send('GET', `/routes?${'x=1&'.repeat(count)}`)
  assert.equal((await list(1000)).status, 200)
  const many = await list(1001)
  assert.deepEqual([many.status, many.json], [400, { message: 'Too many arguments' }])
})

test('a name in a path that is no UTF-8 says where it goes wrong', async () => {
  const message = 'invalid utf-8 character sequence detected at position 3'
  for (const [path, field] of [
    ['/services/ab%ff', 'name'],
    ['/tags/%C3%BC%ff', 'tag'],
  ] as const) {
    const { status, json } = await admin.send('GET', path)
    assert.deepEqual([status, json], [400, { code: 10, name: `invalid unique ${field}`, message }])
  }
})

test('a changed log level comes back when its time is over', async () => {
  const level = async () => (await admin.send('GET', '/debug/node/log-level')).json.message
  const change = (path: string) => admin.send('PUT', `/debug/${path}`)
  assert.equal(await level(), 'log level: notice')
  const changed = await change('node/log-level/debug?timeout=30')
  assert.deepEqual([changed.status, changed.json], [200, { message: 'log level changed' }])
  assert.equal((await change('node/log-level/debug')).json.message, 'log level is already debug')
  assert.equal((await change('cluster/log-level/warn?timeout=0')).status, 200)
  assert.equal((await change('cluster/control-planes-nodes/log-level/warn')).status, 404, 'this is no control plane')
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(await level(), 'log level: notice', 'the level of before the first change')
  for (const [path, text] of [
    ['nope', 'unknown log level: nope'],
    ['warn?timeout=-1', 'timeout must be greater than or equal to 0'],
  ] as const) {
    const refused = await change(`node/log-level/${path}`)
    assert.deepEqual([refused.status, refused.json.message], [400, text])
  }
})

test('the status writes memory in the unit that is asked for', async () => {
  const memory = async (query: string) => (await admin.send('GET', `/status${query}`)).json.memory
  const heap = async (query: string) => (await memory(query)).workers_lua_vms[0].http_allocated_gc
  assert.match(await heap(''), /^\d+\.\d\d MiB$/)
  assert.match(await heap('?unit=K&scale=0'), /^\d+ KiB$/)
  assert.equal(typeof (await heap('?unit=b')), 'number')
  for (const [query, text] of [
    ['?unit=x', "invalid unit 'x' (expected 'k/K', 'm/M', or 'g/G')"],
    ['?scale=-1', 'scale must be equal or greater than 0'],
  ] as const) {
    const refused = await admin.send('GET', `/status${query}`)
    assert.deepEqual([refused.status, refused.json.message], [400, text])
  }
})

test('a certificate is named by its server names and takes them along', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-snis-'))
  const pair = serverCertificate({ prefix: folder, ssl_cert: [], ssl_cert_key: [] })
  rmSync(folder, { recursive: true })
  const made = await admin.send('POST', '/certificates', { ...pair, snis: ['b.test', 'a.test'] })
  assert.deepEqual([made.status, made.json.snis], [201, ['a.test', 'b.test']])
  const { id } = made.json
  assert.equal((await admin.send('GET', '/certificates/b.test')).json.id, id)
  const renamed = await admin.send('PATCH', '/certificates/a.test', { snis: 'c.test' })
  assert.deepEqual([renamed.status, renamed.json.snis], [200, ['c.test']])
  assert.deepEqual((await admin.send('GET', '/certificates/a.test')).json, { message: 'SNI not found' })
  const put = await admin.send('PUT', '/certificates/c.test', { ...pair, snis: ['d.test'] })
  assert.deepEqual([put.json.id, put.json.snis], [id, ['c.test', 'd.test']], 'the name of the path is kept')
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const bare = await admin.send('PUT', '/certificates/g.test', new URLSearchParams({ ...pair }).toString(), form)
  assert.deepEqual([bare.status, bare.json.snis], [200, []], 'a form without names says the same as JSON without')
  await admin.send('DELETE', `/certificates/${bare.json.id}`)
  const below = await admin.send('POST', '/certificates/d.test/snis', { name: 'e.test' })
  assert.deepEqual([below.status, below.json.certificate], [201, { id }])
  assert.equal((await admin.send('GET', '/certificates/c.test/snis')).json.data.length, 3)
  for (const snis of [['d.test'], ['x.test', 'x.test'], ['a b'], [5], 'z.test']) {
    const refused = await admin.send('POST', '/certificates', { ...pair, snis })
    assert.equal(refused.status, 400, JSON.stringify(snis))
  }
  await admin.send('POST', '/services', { name: 'tls', url: 'https://h.test', client_certificate: { id } })
  const used = await admin.send('DELETE', `/certificates/${id}`)
  assert.deepEqual([used.status, used.json.code], [400, 4])
  assert.equal((await admin.send('GET', '/snis/c.test')).status, 200, 'what is refused is refused as a whole')
  const through = await admin.send('PATCH', '/services/tls/client_certificate', { tags: ['t'] })
  assert.deepEqual(through.json.snis, ['c.test', 'd.test', 'e.test'])
  await admin.send('POST', '/upstreams', { name: 'tls' })
  const attached = await admin.send('PUT', '/upstreams/tls/client_certificate', { ...pair, snis: ['f.test'] })
  assert.deepEqual([attached.status, attached.json.snis], [200, ['f.test']])
  assert.equal((await admin.send('GET', '/certificates/f.test/upstreams')).status, 400, 'names count below SNIs only')
  assert.equal((await admin.send('DELETE', '/upstreams/tls')).status, 204)
  assert.equal((await admin.send('DELETE', '/certificates/f.test')).status, 204)
  assert.equal((await admin.send('DELETE', '/services/tls')).status, 204)
  assert.equal((await admin.send('DELETE', `/certificates/${id}`)).status, 204)
  assert.equal((await admin.send('GET', '/snis/c.test')).status, 404)
})

test('who patches what a secret is kept by sends all that it is made of, as in Kong', async () => {
  await admin.send('POST', '/consumers', { id: ids.anna, username: 'anna' })
  await admin.send('POST', '/consumers', { id: ids.ben, username: 'ben' })
  const text = (fields: string) => ({
    fields: { '@entity': [`all or none of these fields must be set: ${fields}`] },
    code: 2,
    name: 'schema violation',
    message: `schema violation (all or none of these fields must be set: ${fields})`,
  })
  const made = await admin.send('POST', '/consumers/anna/basic-auth', { username: 'a', password: 'one' })
  const refused = text("'password', 'consumer.id'")
  const patch = async (path: string, body: object) => {
    const { status, json } = await admin.send('PATCH', path, body)
    return status === 200 ? json.password : json
  }
  const first = made.json.password
  assert.deepEqual(await patch('/basic-auths/a', { password: 'two' }), refused)
  assert.deepEqual(await patch('/basic-auths/a', { consumer: { id: ids.ben } }), refused)
  assert.deepEqual(await patch('/consumers/anna/basic-auth/a', { consumer: { id: ids.ben } }), refused)
  assert.equal(await patch('/basic-auths/a', { tags: ['t'] }), first)
  assert.equal(await patch('/basic-auths/a', { consumer: { id: ids.anna } }), first)
  const second = await patch('/consumers/anna/basic-auth/a', { password: 'two' })
  assert.notEqual(second, first)
  assert.equal(await patch('/basic-auths/a', { password: 'two', consumer: { id: ids.anna } }), second)
  assert.match(await patch('/basic-auths/a', { password: 'two', consumer: { id: ids.ben } }), /^[0-9a-f]{40}$/)
  await admin.send('POST', '/consumers/anna/oauth2', { name: 'app', client_id: 'c', client_secret: 's' })
  assert.deepEqual(await patch('/oauth2/c', { client_secret: 'new' }), text("'hash_secret', 'client_secret'"))
  assert.equal((await admin.send('PATCH', '/oauth2/c', { client_secret: 'new', hash_secret: false })).status, 200)
  assert.equal((await admin.send('PATCH', '/oauth2/c', { name: 'other' })).status, 200)
  for (const name of ['anna', 'ben']) assert.equal((await admin.send('DELETE', `/consumers/${name}`)).status, 204)
})

const ids = { anna: '0000a11a-0000-4000-8000-000000000000', ben: '00000be1-0000-4000-8000-000000000000' }
