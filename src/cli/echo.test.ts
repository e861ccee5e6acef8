import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { after, before, test } from 'node:test'
import { type Echo, command, startEcho } from './echo.ts'

let echo: Echo
before(async () => {
  echo = await startEcho()
})
after(() => echo.close())

const get = (path: string, init?: RequestInit) => fetch(echo.url + path, init)

test('/anything tells method, url, args, headers, origin and body', async () => {
  const response = await get('/anything/a%20b?x=1&x=2&y=&__proto__=z', {
    method: 'POST',
    headers: { 'X-Test': 'one', 'Content-Type': 'application/json' },
    body: '{"a":1}',
  })
  const account = (await response.json()) as Record<string, unknown>
  const headers = account['headers'] as Record<string, string>
  assert.equal(headers['X-Test'] ?? headers['x-test'], 'one')
  assert.deepEqual(
    { ...account, headers: null, args: JSON.stringify(account['args']) },
    {
      args: '{"x":["1","2"],"y":"","__proto__":"z"}',
      data: '{"a":1}',
      files: {},
      form: {},
      headers: null,
      json: { a: 1 },
      method: 'POST',
      origin: '127.0.0.1',
      url: `${echo.url}/anything/a%20b?x=1&x=2&y=&__proto__=z`,
    },
  )
})

test('a form is told field by field, bytes that are no text as base64', async () => {
  const form = await get('/post', { method: 'POST', body: new URLSearchParams({ a: '1' }) })
  assert.deepEqual(((await form.json()) as { form: unknown }).form, { a: '1' })
  const bytes = await get('/anything', { method: 'PUT', body: new Uint8Array([255, 0]) })
  assert.equal(((await bytes.json()) as { data: unknown }).data, 'data:application/octet-stream;base64,/wA=')
})

test('the origin is the client that a gateway names', async () => {
  const response = await get('/get', { headers: { 'X-Forwarded-For': '192.0.2.1, 10.0.0.1' } })
  assert.equal(((await response.json()) as { origin: unknown }).origin, '192.0.2.1, 10.0.0.1')
})

test('/status answers with the status, and with 400 to what is none', async () => {
  for (const status of [200, 204, 304, 404, 503]) assert.equal((await get(`/status/${status}`)).status, status)
  for (const bad of ['100', '999', 'x', '']) assert.equal((await get(`/status/${bad}`)).status, 400)
})

test('/delay waits, but not for a client that has left', async () => {
  const start = performance.now()
  assert.equal((await get('/delay/0.05')).status, 200)
  assert(performance.now() - start >= 45)
  const gone = AbortSignal.timeout(50)
  await assert.rejects(get('/delay/9', { signal: gone }))
})

test('/stream sends lines in chunks', async () => {
  const response = await get('/stream/3')
  assert.equal(response.headers.get('content-length'), null)
  const lines = (await response.text()).trim().split('\n')
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { id: unknown }).id),
    [0, 1, 2],
  )
})

test('/bytes sends that many, with their length; /stream-bytes the same ones without', async () => {
  const known = await get('/bytes/200000')
  const chunked = await get('/stream-bytes/200000')
  assert.equal(known.headers.get('content-length'), '200000')
  assert.equal(chunked.headers.get('content-length'), null)
  const [one, other] = [await known.bytes(), await chunked.bytes()]
  assert.equal(one.length, 200_000)
  assert.deepEqual(one, other)
  assert.equal((await get('/bytes/-1')).status, 400)
  assert.equal((await get('/bytes/99999999999999')).status, 400)
})

test('a method or path that is not there is refused', async () => {
  assert.equal((await get('/post')).status, 405)
  assert.equal((await get('/constructor')).status, 404)
  assert.equal((await get('//anything')).status, 200)
})

test('HEAD gets the head only', async () => {
  const response = await get('/bytes/1000', { method: 'HEAD' })
  assert.deepEqual([response.headers.get('content-length'), (await response.bytes()).length], ['1000', 0])
})

test('a client that leaves in the middle of a body or an answer ends nothing but itself', async () => {
  for (const head of [
    'GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc',
  ]) {
    const socket = connect(echo.port, '127.0.0.1')
    socket.write(head)
    await Promise.race([once(socket, 'data'), new Promise((resolve) => setTimeout(resolve, 20))])
    socket.destroy()
  }
  assert.equal((await get('/anything')).status, 200)
})

test('a port that is none, or is taken, is told in one line', async () => {
  const run = async (port: string) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const status = await command.run({
      args: [],
      values: { port },
      stdout,
      stderr,
      env: {},
      isTerminal: false,
      json: false,
    })
    return [status, String(stderr.read())]
  }
  assert.deepEqual(await run('http'), [2, 'gibbon echo: --port must be a number from 0 to 65535, not "http"\n'])
  const [status, message] = await run(String(echo.port))
  assert.equal(status, 1)
  assert.match(String(message), /EADDRINUSE/)
})
