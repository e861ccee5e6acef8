/** What the gateway counts of requests, as the Admin API and `gibbon top` tell it. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Writable } from 'node:stream'
import { main } from '../../src/cli/commands.ts'
import { echoTargets, startUpstream, type Upstream } from './sockets.ts'
import { startProcess, type Started } from './started.ts'

interface Told {
  readonly count: number
  readonly statuses: Record<string, number>
  readonly latency_counts: number[]
}

interface Shown {
  readonly requests_per_second: number
  readonly routes: readonly { readonly route: string }[]
  readonly upstreams: readonly { readonly upstream: string }[]
}

suite('what is counted of requests', () => {
  let upstream: Upstream
  let gateway: Started
  const id = (digit: number) => `7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c0${digit}`

  before(async () => {
    upstream = await startUpstream()
    upstream.serve = echoTargets
    gateway = await startProcess({})
    await gateway.put(`/services/${id(1)}`, { name: 'shop', url: `http://127.0.0.1:${upstream.port}` })
    await gateway.put(`/routes/${id(2)}`, { name: 'all', paths: ['/all'], service: { id: id(1) } })
    await gateway.put(`/services/${id(3)}`, { name: 'gone', url: 'http://127.0.0.1:1', retries: 0 })
    await gateway.put(`/routes/${id(4)}`, { name: 'broken', paths: ['/broken'], service: { id: id(3) } })
  })
  after(async () => {
    await gateway.stop()
    upstream.close()
  })

  const send = async (path: string, times: number) => {
    for (let time = 0; time < times; time++) await (await fetch(`${gateway.proxy[0]}${path}`)).arrayBuffer()
  }
  // oxlint-disable-next-line typescript/no-explicit-any -- what the answer looks like is what is tested
  const traffic = async (): Promise<any> => (await fetch(`${gateway.admin[0]}/traffic`)).json()

  test('is told by route and by target, of all workers together', async () => {
    await Promise.all([send('/all', 20), send('/all', 20), send('/broken', 3), send('/nowhere', 2)])
    const { routes, unrouted, targets, workers, latency_bounds_ms: bounds } = await traffic()
    assert.equal(workers, 2)
    const byName = new Map<string, { answers: Told & { bytes: number }; upstream: Told; service: { name: string } }>(
      routes.map((one: { route: { name: string } }) => [one.route.name, one]),
    )
    const all = byName.get('all')!
    assert.equal(all.service.name, 'shop')
    assert.deepEqual([all.answers.count, all.answers.statuses], [40, { 200: 40 }])
    assert.equal(all.upstream.count, 40)
    assert.equal(all.answers.bytes, 40 * '/'.length)
    assert.equal(all.answers.latency_counts.length, bounds.length + 1)
    assert.equal(
      all.answers.latency_counts.reduce((sum, count) => sum + count, 0),
      40,
    )
    assert.deepEqual(byName.get('broken')!.answers.statuses, { 502: 3 })
    assert.equal(byName.get('broken')!.upstream.count, 0)
    assert.deepEqual(unrouted.answers.statuses, { 404: 2 })
    const counted = targets.map((one: { target: string; failures: number; responses: Told }) => [
      one.target,
      one.responses.count,
      one.failures,
    ])
    assert.deepEqual(counted.toSorted(), [
      ['127.0.0.1:1', 0, 3],
      [`127.0.0.1:${upstream.port}`, 40, 0],
    ])
  })

  test('outlives a change of the route', async () => {
    await gateway.put(`/routes/${id(2)}`, { name: 'every', paths: ['/all'], service: { id: id(1) } })
    await send('/all', 1)
    const { routes } = await traffic()
    const changed = routes.find(({ route }: { route: { id: string } }) => route.id === id(2))
    assert.deepEqual([changed.route.name, changed.answers.count], ['every', 41])
  })

  test('is shown live by gibbon top', async () => {
    const done = new AbortController()
    const load = (async () => {
      while (!done.signal.aborted) await send('/all', 1)
    })()
    const printed: string[] = []
    const stdout = new Writable({ write: (text: Buffer, _encoding, done) => (printed.push(text.toString()), done()) })
    const io = { stdout, stderr: stdout, env: {} }
    const shown = await main(['top', '-p', gateway.prefix, '--once', '--interval', '0.5', '--json'], io)
    const people = await main(['top', '-p', gateway.prefix, '--once', '--interval', '0.5'], io)
    done.abort()
    await load
    assert.deepEqual([shown, people], [0, 0], printed.join(''))
    const { requests_per_second: rate, routes, upstreams } = JSON.parse(printed[0]!) as Shown
    assert.ok(rate > 0)
    assert.equal(routes[0]?.route, 'every')
    assert.equal(upstreams[0]?.upstream, '127.0.0.1')
    assert.match(printed[1]!, /requests\/s[^]*busiest routes[^]*\nevery +shop [^]*slowest upstreams[^]*\n127\.0\.0\.1 /)
  })

  test('is told of by nobody where no gateway runs', async () => {
    let said = ''
    const stderr = new Writable({ write: (text: Buffer, _encoding, done) => ((said += text.toString()), done()) })
    assert.equal(await main(['top', '-p', '/nonexistent'], { stdout: stderr, stderr, env: {} }), 3)
    assert.match(said, /no gateway runs on \/nonexistent/)
  })
})
