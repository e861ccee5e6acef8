/** What a write costs from the request to its answer, when it is durable and in force on every worker. */
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 10 })

/** Sequential writes of several kinds, then new routes ten at a time, as decK sends them. `cpuSeconds` tells what the gateway has used. */
export async function measureWrites(
  admin: string,
  cpuSeconds: () => number,
): Promise<Readonly<Record<string, number>>> {
  const send = (method: string, path: string, body?: object) => call(`${admin}${path}`, method, body)
  while (!(await fetch(admin).catch(() => undefined))) await new Promise((resolve) => setTimeout(resolve, 10))
  const patchRoute = await median(50, (at) => send('PATCH', '/routes/route-0', { tags: [`write-${at}`] }))
  const patchPlugin = await pluginOfFirstService(send)
  const plugin = await median(20, (at) => send('PATCH', patchPlugin, { tags: [`write-${at}`] }))
  const global = await send('POST', '/plugins', { name: 'jwt', enabled: true })
  const everywhere = await median(10, (at) =>
    send('PATCH', `/plugins/${String(global['id'])}`, { tags: [`write-${at}`] }),
  )
  await send('DELETE', `/plugins/${String(global['id'])}`)
  const consumer = await median(50, (at) => send('POST', '/consumers', { username: `written-${at}` }))
  const [cpuBefore, begun] = [cpuSeconds(), performance.now()]
  const routes = 500
  let next = 0
  const writer = async () => {
    for (let at = next++; at < routes; at = next++) {
      await send('POST', '/services/service-0/routes', { name: `written-${at}`, paths: [`/written-${at}`] })
    }
  }
  await Promise.all(Array.from({ length: 10 }, writer))
  return {
    'route write ms': patchRoute,
    'plugin write ms': plugin,
    'global plugin write ms': everywhere,
    'consumer write ms': consumer,
    'ten at once, ms each': (performance.now() - begun) / routes,
    'CPU ms each': ((cpuSeconds() - cpuBefore) * 1000) / routes,
  }
}

/** From one node's answer to a new route to the first request that another node takes by it: the median, in ms. */
export async function measureFollowing(admin: string, proxy: string): Promise<Readonly<Record<string, number>>> {
  const made = async (at: number) => {
    const path = `/followed-${at}`
    await call(`${admin}/services/service-0/routes`, 'POST', { name: `followed-${at}`, paths: [path] })
    return path
  }
  const times: number[] = []
  for (let at = 0; at < 50; at++) {
    const path = await made(at)
    const begun = performance.now()
    // The route asks for a token; of what no route takes a gateway says 404.
    while ((await fetch(`${proxy}${path}`)).status === 404);
    times.push(performance.now() - begun)
  }
  return { 'followed after ms': times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN }
}

type Send = (method: string, path: string, body?: object) => Promise<Readonly<Record<string, unknown>>>

async function pluginOfFirstService(send: Send): Promise<string> {
  const { data } = (await send('GET', '/services/service-0/plugins')) as { data: { id: string }[] }
  return `/plugins/${data[0]?.id}`
}

async function median(count: number, write: (at: number) => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let at = 0; at < count; at++) {
    const begun = performance.now()
    await write(at)
    times.push(performance.now() - begun)
  }
  return times.toSorted((a, b) => a - b)[count >> 1] ?? Number.NaN
}

function call(url: string, method: string, body?: object): ReturnType<Send> {
  return new Promise((resolve, reject) => {
    const text = body && JSON.stringify(body)
    const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
    const sent = request(url, { method, agent, headers }, (response) => {
      let received = ''
      response.setEncoding('utf8').on('data', (piece: string) => (received += piece))
      response.on('end', () => {
        if ((response.statusCode ?? 500) < 300) resolve(received === '' ? {} : JSON.parse(received))
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${received}`))
      })
    })
    sent.on('error', reject).end(text)
  })
}
