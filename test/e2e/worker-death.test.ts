/** A proxy worker that dies costs the connections that it held, and nothing else; another one takes its place. */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { oneService } from './data-plane.ts'
import { startProcess, type GatewayProcess } from './process.ts'
import { client, echoTargets, pause, request, startUpstream, type Upstream } from './sockets.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-death-'))
const file = join(folder, 'die')
let gateway: GatewayProcess
let upstream: Upstream
let deaths = 0

before(async () => {
  upstream = await startUpstream()
  upstream.serve = echoTargets
  gateway = await startProcess({
    config: oneService(upstream.port),
    preload: join(import.meta.dirname, 'die.child.ts'),
    settings: { KONG_NGINX_WORKER_PROCESSES: '2', GIBBON_WORKER_HEAP_SIZE: '128m', TEST_DIE_FILE: file },
  })
})
after(async () => {
  assert.equal(await gateway.stop(), 0)
  upstream.close()
  rmSync(folder, { recursive: true })
})

/** Connections that each had an answer, enough of them for both workers to have some. */
async function crowd() {
  const clients = Array.from({ length: 24 }, () => client(gateway.port))
  for (const { send } of clients) send(request('/before'))
  for (const { until } of clients) await until(/before$/)
  return clients
}

const isCut = ({ socket }: { socket: { destroyed: boolean; readableEnded: boolean } }) =>
  socket.destroyed || socket.readableEnded

/** What is logged of each death. */
const ways = {
  throws: 'thrown by the test',
  loops: 'a proxy worker hangs',
  'fills the heap': 'reaching memory limit',
  'fills the heap slowly': 'reaching memory limit',
}
for (const [way, told] of Object.entries(ways)) {
  test(`a worker that ${way} is replaced`, async () => {
    const before = gateway.log().length
    const clients = await crowd()
    writeFileSync(`${file}.new`, way)
    renameSync(`${file}.new`, file)
    deaths++
    await logged('died and is replaced')
    await pause(50)
    const cut = clients.filter(isCut)
    assert.ok(
      cut.length > 0 && cut.length < clients.length,
      `${cut.length} of ${clients.length} were cut: ${gateway.log()}`,
    )
    for (const one of clients) {
      if (isCut(one)) continue
      one.send(request('/after'))
      await one.until(/after$/)
      one.socket.destroy()
    }
    await logged('a new proxy worker serves')
    assert.ok(gateway.log().slice(before).includes(told), gateway.log())
    assert.deepEqual(await Promise.all(Array.from({ length: 16 }, served)), Array(16).fill(true))
  })
}

/** Waits until the gateway has logged a text once for each death. */
async function logged(text: string): Promise<void> {
  for (let left = 1500; gateway.log().split(text).length <= deaths; left--) {
    assert.ok(left > 0, `not logged: ${text} in ${gateway.log()}`)
    await pause(10)
  }
}

async function served(): Promise<boolean> {
  const one = client(gateway.port)
  one.send(request('/new'))
  for (let left = 100; left > 0 && !isCut(one); left--) {
    if (one.text().endsWith('/new')) break
    await pause(5)
  }
  one.socket.destroy()
  return one.text().endsWith('/new')
}
