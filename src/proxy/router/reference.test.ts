/** The router against a deliberately simple one: every rule in order of priority, the first that matches. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { changeRouter, compileRouter, type Match, type RouteInput, type Router, type RoutingRequest } from './router.ts'

interface Expanded {
  readonly route: RouteInput
  readonly id: string
  readonly paths: readonly string[]
  readonly order: readonly number[]
}

function reference(
  routes: readonly RouteInput[],
  request: RoutingRequest,
): { id: string; matchedPath: string } | undefined {
  const expanded = routes.flatMap(expand).sort(compare)
  for (const { route, paths } of expanded) {
    if (route.methods?.length && !route.methods.includes(request.method)) continue
    if (route.hosts?.length && !route.hosts.some((host) => hostMatches(host, request))) continue
    if (route.snis?.length && request.scheme === 'https' && !route.snis.includes(request.sni ?? '')) continue
    if (!Object.entries(route.headers ?? {}).every(([name, values]) => headerMatches(name, values, request))) continue
    if (paths.length === 0) return { id: route.id, matchedPath: '' }
    for (const path of paths) {
      const matched = pathMatches(path, request.path)
      if (matched !== undefined) return { id: route.id, matchedPath: matched }
    }
  }
  return undefined
}

const bytes = (text: string): number => Buffer.byteLength(text)

function expand(route: RouteInput): Expanded[] {
  const groups: string[][] = []
  for (const path of route.paths ?? []) {
    const group = groups.find(([first = '']) =>
      path[0] === '~' ? first[0] === '~' : first[0] !== '~' && bytes(first) === bytes(path),
    )
    if (group) group.push(path)
    else groups.push([path])
  }
  if (groups.length < 2) return [expansion(route, route.id, groups[0] ?? [])]
  return groups.map((paths, index) =>
    expansion(route, uuid5('7f145bf9-0dce-4f91-98eb-debbce4b9f6b', `${route.id}#${index + 1}`), paths),
  )
}

function expansion(route: RouteInput, id: string, paths: readonly string[]): Expanded {
  const headers = Object.keys(route.headers ?? {}).length
  const kinds = [route.methods?.length, route.hosts?.length, paths.length, headers, route.snis?.length].filter(
    (count) => !!count,
  ).length
  const regex = paths[0]?.[0] === '~'
  const plain = !!route.hosts?.length && !route.hosts.some((host) => host.includes('*'))
  const priority = regex ? (route.regex_priority ?? 0) : 0
  const fine = priority < 0 ? priority : (headers << 1) | priority
  const order = [kinds > 3 ? kinds : 0, Number(plain), Number(regex), kinds, fine, regex ? 0 : bytes(paths[0] ?? '')]
  return { route, id, paths, order }
}

function compare(left: Expanded, right: Expanded): number {
  for (const [index, value] of left.order.entries()) {
    const other = right.order[index] ?? 0
    if (value !== other) return other - value
  }
  return left.id < right.id ? 1 : -1
}

function uuid5(namespace: string, name: string): string {
  const bytes = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  const hex = bytes.toString('hex').slice(0, 32).split('')
  hex[12] = '5'
  hex[16] = ((Number.parseInt(hex[16] ?? '0', 16) & 3) | 8).toString(16)
  return hex.join('').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
}

function hostMatches(pattern: string, request: RoutingRequest): boolean {
  const [name = '', port] = request.host.split(':')
  const [text = '', wanted] = pattern.split(':')
  if (wanted && Number(wanted) !== Number(port ?? request.port)) return false
  if (text.startsWith('*')) return name.endsWith(text.slice(1))
  return text.endsWith('*') ? name.startsWith(text.slice(0, -1)) : name === text
}

function headerMatches(name: string, values: readonly string[], request: RoutingRequest): boolean {
  const lines = request.header(name.replaceAll('-', '_')) ?? request.header(name.replaceAll('_', '-')) ?? []
  return lines.some((line) =>
    values.some((value) =>
      value.startsWith('~*') ? new RegExp(value.slice(2), 'i').test(line) : value.toLowerCase() === line.toLowerCase(),
    ),
  )
}

// The patterns are the constants below: JavaScript's engine is safe with them.
function pathMatches(pattern: string, path: string): string | undefined {
  if (!pattern.startsWith('~')) return path.startsWith(pattern) ? pattern : undefined
  return new RegExp(`^(?:${pattern.slice(1)})`).exec(path)?.[0]
}

const some = <T>(values: readonly T[], maxLength = 3) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength }))

const hosts = ['a.test', 'b.test', 'x.a.test', '*.test', '*.a.test', 'a.*', 'x.a.*', 'a.test:81', '*.a.test:81']
const paths = [
  '/',
  '/a',
  '/a/',
  '/ab',
  '/abc',
  '/a/b',
  '/a/b/c',
  '/b',
  '/ü',
  '~/a',
  '~/a/\\w+',
  '~/a/(b|c)',
  '~/(a|b)',
  '~/a/b?',
  '~/a|/b',
  '~/\\w+/b$',
]

const routeFields = fc.record({
  id: fc.uuid(),
  protocols: fc.constant(['http', 'https']),
  methods: some(['GET', 'POST', 'PUT']),
  hosts: some(hosts),
  paths: some(paths, 4),
  headers: fc.option(
    fc.dictionary(
      fc.constantFrom('x-v', 'x_w', 'x-u'),
      fc.uniqueArray(fc.constantFrom('1', 'A', '~*^a+$'), { minLength: 1 }),
      { maxKeys: 2 },
    ),
  ),
  snis: some(['a.test', 'b.test']),
  regex_priority: fc.constantFrom(0, 0, 0, 1, 2, 5, -1),
})
const hasCondition = ({ methods, hosts, paths, headers, snis }: RouteInput) =>
  [methods, hosts, paths, snis].some((list) => list?.length) || Object.keys(headers ?? {}).length > 0
const routeSets = fc.uniqueArray(routeFields.filter(hasCondition), { maxLength: 25, selector: ({ id }) => id })

const requests = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD'),
    host: fc.constantFrom(
      'a.test',
      'b.test',
      'x.a.test',
      'y.x.a.test',
      'a.com',
      'x.a.com',
      'a.test:81',
      'x.a.test:81',
      'c.org',
      '',
    ),
    port: fc.constantFrom(80, 81),
    path: fc.constantFrom(
      '/',
      '/a',
      '/a/',
      '/ab',
      '/abc',
      '/abcd',
      '/a/b',
      '/a/b/c',
      '/a/bc',
      '/b',
      '/b/b',
      '/ü',
      '/c',
      '/c/b',
    ),
    scheme: fc.constantFrom('http', 'https'),
    sni: fc.constantFrom('a.test', 'b.test', undefined),
    headers: fc.dictionary(
      fc.constantFrom('x-v', 'x_w', 'x-w', 'x_u'),
      fc.array(fc.constantFrom('1', 'a', 'AA', '2'), { minLength: 1, maxLength: 2 }),
      {
        maxKeys: 3,
      },
    ),
  })
  .map(({ headers, ...request }): RoutingRequest => ({ ...request, header: (name) => headers[name] }))

const answer = (found: Match<string> | undefined) => found && { id: found.target, matchedPath: found.matchedPath }
const targets = (routes: readonly RouteInput[]) => routes.map((route) => ({ route, target: route.id }))

function agrees(router: Router<string>, routes: readonly RouteInput[], asked: readonly RoutingRequest[]): void {
  for (const request of asked) assert.deepEqual(answer(router.match(request)), reference(routes, request))
}

test('every request takes the route that the simple router takes', () => {
  fc.assert(
    fc.property(routeSets, fc.array(requests, { minLength: 10, maxLength: 20 }), (routes, asked) => {
      agrees(compileRouter(targets(routes)), routes, asked)
    }),
    { numRuns: 1500 },
  )
})

test('a router that was changed again and again is as good as a new one, and the ones before stay as they were', () => {
  fc.assert(
    fc.property(
      routeSets,
      fc.array(fc.nat()),
      fc.array(requests, { minLength: 5, maxLength: 10 }),
      (routes, toggles, asked) => {
        fc.pre(routes.length > 0)
        let present = routes.slice(0, routes.length >> 1)
        let router = compileRouter(targets(present))
        for (const toggle of toggles) {
          const route = routes[toggle % routes.length]
          if (!route) continue
          const [before, wasPresent] = [router, present]
          const isIn = present.includes(route)
          present = isIn ? present.filter((other) => other !== route) : [...present, route]
          router = changeRouter(router, isIn ? [route] : [], isIn ? [] : [{ route, target: route.id }])
          agrees(before, wasPresent, asked)
        }
        agrees(router, present, asked)
      },
    ),
    { numRuns: 500 },
  )
})
