/**
 * What routing costs, by the number of routes: nanoseconds for a match, and for the path work before and after it;
 * milliseconds for building a router, and for changing one route of it. Run it with `node bench/router.ts`.
 */
import { normalisePath, upstreamPath } from '../src/proxy/router/path.ts'
import {
  changeRouter,
  compileRouter,
  type RouteInput,
  type Router,
  type RoutingRequest,
} from '../src/proxy/router/router.ts'

interface Mix {
  readonly name: string
  route(index: number): Partial<RouteInput>
  request(index: number): { readonly host: string; readonly path: string }
}

const mixes: readonly Mix[] = [
  {
    name: 'host',
    route: (index) => ({ hosts: [`h${index}.example.com`] }),
    request: (index) => ({ host: `h${index}.example.com`, path: '/users/42/orders' }),
  },
  {
    name: 'wildcard host',
    route: (index) => ({ hosts: [`*.h${index}.example.com`] }),
    request: (index) => ({ host: `www.h${index}.example.com`, path: '/users/42/orders' }),
  },
  {
    name: 'host and prefix',
    route: (index) => ({ hosts: [`h${index % 100}.example.com`], paths: [`/service-${index}/v1`] }),
    request: (index) => ({ host: `h${index % 100}.example.com`, path: `/service-${index}/v1/users/42` }),
  },
  {
    name: 'prefix',
    route: (index) => ({ paths: [`/service-${index}/v1`] }),
    request: (index) => ({ host: 'example.com', path: `/service-${index}/v1/users/42` }),
  },
  {
    name: 'regex',
    route: (index) => ({ paths: [`~/service-${index}/users/\\d+$`] }),
    request: (index) => ({ host: 'example.com', path: `/service-${index}/users/42` }),
  },
  {
    name: 'expression',
    route: (index) => ({
      expression: `http.host == "h${index % 100}.example.com" && http.path ^= "/service-${index}/" && http.method == "GET"`,
      priority: index,
    }),
    request: (index) => ({ host: `h${index % 100}.example.com`, path: `/service-${index}/v1/users/42` }),
  },
  {
    name: 'mix of all',
    route: (index) => mixes[index % 6]?.route(index) ?? {},
    request: (index) => mixes[index % 6]?.request(index) ?? { host: '', path: '/' },
  },
]

const sizes = [1, 100, 10_000]

const routeOf = (mix: Mix, index: number): { route: RouteInput; target: number } => ({
  route: {
    id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    protocols: ['http', 'https'],
    ...mix.route(index),
  },
  target: index,
})

for (const mix of mixes) {
  for (const size of sizes) report(mix, size)
}
reportPaths()

function report(mix: Mix, size: number): void {
  const routes = Array.from({ length: size }, (_, index) => routeOf(mix, index))
  const [router, buildMs] = timed(() => compileRouter(routes, 'expressions'))
  const [out, into] = [routes[size >> 1], routeOf(mix, size >> 1)]
  const changeMs = Math.min(
    ...Array.from({ length: 5 }, () => timed(() => changeRouter(router, out ? [out.route] : [], [into]))[1]),
  )
  const builds = `build ${ms(buildMs)}, change one ${ms(changeMs)}`
  console.log(
    `${mix.name.padEnd(16)} ${String(size).padStart(6)} routes  ${matchNs(router, mix, size)} ns a match  ${builds}`,
  )
}

function matchNs(router: Router<number>, mix: Mix, size: number): string {
  const requests = Array.from({ length: 256 }, (_, index) => requestOf(mix, Math.floor((index * size) / 256)))
  const ns = nanoseconds((index) => router.match(requests[index & 255] ?? fail())?.target ?? fail())
  return ns.toFixed(0).padStart(5)
}

/** A request whose strings are cut from a longer one, as a parser cuts them from the head. */
function requestOf(mix: Mix, index: number): RoutingRequest {
  const { host, path } = mix.request(index)
  const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const hostAt = head.indexOf('Host: ') + 6
  return {
    method: head.slice(0, 3),
    host: head.slice(hostAt, hostAt + host.length),
    port: 80,
    path: head.slice(4, 4 + path.length),
    scheme: 'http',
    sni: undefined,
    header: () => undefined,
  }
}

function reportPaths(): void {
  const heads = Array.from({ length: 256 }, (_, index) => `GET /service-${index}/v1/users/42/orders HTTP/1.1\r\n`)
  const paths = heads.map((head) => head.slice(4, head.indexOf(' ', 4)))
  const route = { strip_path: true }
  console.log(
    `normalisePath, nothing to do  ${nanoseconds((index) => normalisePath(paths[index & 255] ?? '')).toFixed(0)} ns`,
  )
  const encoded = paths.map((path) => path.replace('users', '%75sers/.'))
  console.log(
    `normalisePath, much to do     ${nanoseconds((index) => normalisePath(encoded[index & 255] ?? '')).toFixed(0)} ns`,
  )
  const join = (index: number) => upstreamPath('/base', route, paths[index & 255] ?? '', '/service-')
  console.log(`upstreamPath                  ${nanoseconds(join).toFixed(0)} ns`)
}

/** The least of five rounds: what disturbs a round only adds to it. */
function nanoseconds(run: (index: number) => unknown): number {
  const rounds = 100_000
  const times = Array.from({ length: 6 }, () => {
    const [, elapsed] = timed(() => {
      for (let index = 0; index < rounds; index++) run(index)
    })
    return (elapsed * 1e6) / rounds
  })
  return Math.min(...times)
}

/** The processor's time in ms, which other programs on the machine hardly change. */
function timed<T>(run: () => T): [T, number] {
  const start = process.cpuUsage()
  const result = run()
  const { user, system } = process.cpuUsage(start)
  return [result, (user + system) / 1000]
}

function ms(time: number): string {
  return `${time.toFixed(time < 10 ? 2 : 0)} ms`
}

function fail(): never {
  throw new Error('a route is expected to match')
}
