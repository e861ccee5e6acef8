/** `X-Kong-Request-Debug`: who may ask where the time of a request went, and what they are told. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startDataPlane, oneService, type DataPlane } from './data-plane.ts'
import { startTestGateway } from './gateway.ts'
import { echoTargets, client, pause, request, startUpstream, until, type Upstream } from './sockets.ts'

const token = '01dd4c9e-cb5e-4b26-9e49-4eb0509fbd68'

interface Tree {
  readonly request_id: string
  readonly total_time_without_upstream: number
  readonly truncated?: true
  readonly dangling?: true
  readonly child: Record<string, Part>
}
interface Part {
  readonly total_time: number
  readonly cache_hit?: boolean
  readonly child: Record<string, Part>
}

/** A request's answer as text, with header lines of one's own. */
async function ask(port: number, ...lines: string[]): Promise<string> {
  const { send, until: wait, text, socket } = client(port)
  send(request('/there', ...lines))
  await wait(/\r\n\r\n/)
  socket.destroy()
  return text()
}

const debug = 'X-Kong-Request-Debug: *'
const outputOf = (answer: string): Tree | undefined => {
  const [, json] = /^X-Kong-Request-Debug-Output: (.*)\r$/m.exec(answer) ?? []
  return json === undefined ? undefined : (JSON.parse(json) as Tree)
}

suite('a request that is debugged', () => {
  let upstream: Upstream
  let plane: DataPlane

  before(async () => {
    upstream = await startUpstream()
    upstream.serve = echoTargets
    plane = await startDataPlane({
      settings: { request_debug_token: token, trusted_ips: '127.0.0.1', real_ip_header: 'X-Client' },
      config: oneService(upstream.port, { host: 'localhost' }),
      plugins: [
        { rewrite: () => undefined, access: () => pause(20).then(() => undefined) },
        { header_filter: () => undefined, log: () => undefined },
      ],
    })
  })
  after(() => {
    plane.close()
    upstream.close()
  })

  const timesOut = (tree: Tree | undefined): Tree => {
    assert.ok(tree)
    assert.equal(tree.dangling, undefined)
    return tree
  }

  test('is answered with where its time went, from loopback without a token', async () => {
    const answer = await ask(plane.port, debug)
    const { child, ...root } = timesOut(outputOf(answer))
    assert.equal(root.request_id, /^X-Kong-Request-Id: (.*)\r$/m.exec(answer)?.[1])
    assert.deepEqual(Object.keys(child), ['rewrite', 'access', 'balancer', 'header_filter', 'upstream'])
    assert.ok(child['access']!.child['router']!.total_time >= 0)
    assert.equal(typeof child['access']!.child['dns']!.child['localhost']!.child['resolve']!.cache_hit, 'boolean')
    const waiting = child['access']!.child['plugins']!.child['test-0']!
    assert.deepEqual(Object.keys(waiting.child), ['test-0'])
    assert.ok(waiting.total_time >= 15, 'a plugin that waits counts until it has')
    assert.ok(child['rewrite']!.child['plugins']!.child['test-0'])
    assert.ok(child['header_filter']!.child['plugins']!.child['test-1'])
    assert.deepEqual(Object.keys(child['upstream']!.child), ['time_to_first_byte'])
    const own = Object.entries(child).filter(([name]) => name !== 'upstream')
    const sum = own.reduce((total, [, { total_time }]) => total + total_time, 0)
    assert.ok(Math.abs(root.total_time_without_upstream - sum) < 0.01)
  })

  test('goes on without the headers that asked for it', async () => {
    let seen = ''
    upstream.serve = (socket) =>
      socket.on('data', (bytes: Buffer) => {
        seen += bytes.toString('latin1')
        socket.write('HTTP/1.1 204 No Content\r\nX-Kong-Request-Debug-Output: forged\r\n\r\n')
      })
    const answer = await ask(plane.port, debug, `X-Kong-Request-Debug-Token: ${token}`, 'X-Kong-Request-Debug-Log: no')
    assert.doesNotMatch(seen, /request-debug/i)
    assert.ok(outputOf(answer), 'and an upstream’s own output does not take the place of the gateway’s')
    upstream.serve = echoTargets
  })

  test('is like any other where the header is absent or says something else', async () => {
    for (const line of ['X-Kong-Request-Debug: access', 'X-Kong-Request-Debug-Log: true', 'X-Other: *']) {
      const answer = await ask(plane.port, line)
      assert.match(answer, /^HTTP\/1\.1 200 /)
      assert.equal(outputOf(answer), undefined)
    }
  })

  test('needs the token from elsewhere, and behind anything that looks like a proxy', async () => {
    const elsewhere = [
      'X-Client: 203.0.113.7',
      'X-Forwarded-For: 127.0.0.1',
      'Forwarded: for=127.0.0.1',
      'Via: 1.1 here',
    ]
    for (const line of elsewhere) {
      assert.equal(outputOf(await ask(plane.port, debug, line)), undefined, line)
      const wrong = `X-Kong-Request-Debug-Token: ${token.replace('0', '1')}`
      assert.equal(outputOf(await ask(plane.port, debug, line, wrong)), undefined, line)
      assert.ok(outputOf(await ask(plane.port, debug, line, `X-Kong-Request-Debug-Token: ${token}`)), line)
    }
  })

  test('is written into the error log on wish, with what came after the head', async () => {
    const lines = await loggedBy(plane, () => ask(plane.port, debug, 'X-Kong-Request-Debug-Log: true'))
    assert.equal(lines.length, 1)
    const [, json] = /^notice: \[request-debug\] output: (\{.*\}) \{"request_id":/.exec(lines[0]!) ?? []
    const { child } = timesOut(JSON.parse(json!) as Tree)
    assert.ok(child['log']!.child['plugins']!.child['test-1'])
    const { time_to_first_byte: first, streaming } = child['upstream']!.child
    assert.equal(child['upstream']!.total_time, first!.total_time + streaming!.total_time)
  })

  test('has no part of the upstream’s where nothing was asked of one', async () => {
    plane.adopt({})
    const tree = timesOut(outputOf(await ask(plane.port, debug)))
    assert.deepEqual(Object.keys(tree.child), ['rewrite', 'access', 'header_filter'])
    plane.adopt(oneService(upstream.port))
  })
})

async function loggedBy(plane: DataPlane, run: () => Promise<unknown>): Promise<string[]> {
  const from = plane.log.length
  await run()
  const lines = () => plane.log.slice(from).filter((line) => line.includes('[request-debug]'))
  await until(
    () => lines().length > 0,
    () => 'a line of [request-debug]',
  )
  return lines()
}

test('what is too long for a header goes into the log, in parts, but for loopback', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const plane = await startDataPlane({
    settings: { request_debug_token: token, trusted_ips: '127.0.0.1', real_ip_header: 'X-Client' },
    config: oneService(upstream.port),
    plugins: Array.from({ length: 60 }, () => ({ access: () => undefined })),
  })
  const here = outputOf(await ask(plane.port, debug))
  assert.equal(Object.keys(here!.child['access']!.child['plugins']!.child).length, 60)
  let answer = ''
  const lines = await loggedBy(plane, async () => {
    answer = await ask(plane.port, debug, 'X-Client: 203.0.113.7', `X-Kong-Request-Debug-Token: ${token}`)
  })
  const { request_id, ...rest } = outputOf(answer)!
  assert.deepEqual(rest, {
    truncated: true,
    message: 'Output is truncated, please check the error_log for full output by filtering with the request_id.',
  })
  const parts = lines.map((line) =>
    /^notice: \[request-debug\] parts: (\d)\/(\d) output: (.*) \{"request_id":/.exec(line)!,
  )
  assert.deepEqual(
    parts.map(([, number, all]) => `${number}/${all}`),
    parts.map((_, at) => `${at + 1}/${parts.length}`),
  )
  assert.ok(parts.length > 1)
  assert.equal((JSON.parse(parts.map(([, , , json]) => json).join('')) as Tree).request_id, request_id)
  plane.close()
  upstream.close()
})

test('browsers are shown the same by Server-Timing, where that is turned on', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const plane = await startDataPlane({
    settings: { request_debug_token: token, server_timing: 'on' },
    config: oneService(upstream.port),
    plugins: [{ access: () => undefined, header_filter: () => undefined }],
  })
  const answer = await ask(plane.port, debug)
  const [, timing] = /^Server-Timing: (.*)\r$/m.exec(answer) ?? []
  assert.deepEqual(
    timing!.split(', ').map((entry) => /^([\w.-]+);dur=\d+\.\d\d$/.exec(entry)?.[1]),
    ['rewrite', 'access', 'router', 'plugin.test-0', 'balancer', 'upstream', 'header_filter'],
  )
  assert.doesNotMatch(await ask(plane.port), /server-timing/i)
  plane.close()
  upstream.close()
})

test('a token is made at the start, for the owner of the prefix to read, unless debugging is off', async () => {
  const gateway = await startTestGateway()
  const file = join(gateway.folder, '.request_debug_token')
  assert.match(readFileSync(file, 'utf8'), /^[0-9a-f-]{36}$/)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.doesNotMatch((await gateway.send('GET', '/')).text, new RegExp(readFileSync(file, 'utf8')))
  await gateway.stop()

  const given = await startTestGateway({ request_debug_token: token })
  assert.equal(readFileSync(join(given.folder, '.request_debug_token'), 'utf8'), token)
  await given.stop()

  const off = await startTestGateway({ request_debug: 'off' })
  assert.throws(() => readFileSync(join(off.folder, '.request_debug_token')), /ENOENT/)
  await off.stop()
})
