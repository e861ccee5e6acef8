/** The recorded cases about routing and paths, without sockets: which route is taken, and what path goes upstream. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { forwardedPrefix, normalisePath, upstreamPath } from './path.ts'
import { compileRouter, type RouteInput } from './router.ts'

interface RecordedRoute extends RouteInput {
  readonly strip_path: boolean
  readonly https_redirect_status_code: number
}

interface Recording {
  readonly config: {
    readonly services: readonly { readonly url: string; readonly routes: readonly Partial<RecordedRoute>[] }[]
  }
  readonly cases: readonly RecordedCase[]
}

interface RecordedCase {
  readonly name: string
  readonly request: {
    readonly method: string
    readonly path: string
    readonly headers: readonly (readonly [string, string])[]
  }
  readonly expect: {
    readonly status: number
    readonly upstream: { readonly target: string; readonly headers: readonly (readonly [string, string])[] } | null
  }
}

const defaults = { protocols: ['http', 'https'], strip_path: true, https_redirect_status_code: 426 }

/** What a gateway would make of a request, as far as routing decides it. */
function answerer({ config }: Recording) {
  const routes = config.services.flatMap(({ url, routes }, service) =>
    routes.map((fields, index) => {
      const route = { ...defaults, id: `00000000-0000-4000-8000-${service}${index}`, ...fields }
      return {
        route,
        target: { route, servicePath: url.replace(/^http:\/\/127\.0\.0\.1:\{\{UPSTREAM_PORT\}\}/, '') || null },
      }
    }),
  )
  const router = compileRouter(routes)
  assert.deepEqual(router.problems, [])
  return ({ request }: RecordedCase) => {
    const query = request.path.indexOf('?')
    const path = normalisePath(query < 0 ? request.path : request.path.slice(0, query))
    const lines = (name: string) =>
      request.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value.trim())
    const [host = ''] = lines('host')
    // Elsewhere than in the router: an empty Host, and a method that no grammar knows.
    if (path === undefined || host === '' || request.method !== request.method.toUpperCase()) return { status: 400 }
    const { method } = request
    const match = router.match({ method, host, port: 80, path, scheme: 'http', sni: undefined, header: lines })
    if (!match) return { status: 404 }
    const { route, servicePath } = match.target
    if (!route.protocols.includes('http')) return { status: route.https_redirect_status_code }
    const target =
      upstreamPath(servicePath, route, path, match.matchedPath) + (query < 0 ? '' : request.path.slice(query))
    return { status: 200, target, prefix: forwardedPrefix(route, match.matchedPath) }
  }
}

for (const file of ['router', 'router-paths']) {
  const recording: Recording = JSON.parse(
    readFileSync(new URL(`../../../test/golden/public/${file}.json`, import.meta.url), 'utf8'),
  )
  describe(`what was recorded in ${file}.json`, () => {
    const answer = answerer(recording)
    for (const recorded of recording.cases) {
      test(recorded.name, () => {
        const { status, upstream } = recorded.expect
        const prefix = upstream?.headers.find(([name]) => name === 'X-Forwarded-Prefix')?.[1]
        assert.deepEqual(answer(recorded), upstream ? { status, target: upstream.target, prefix } : { status })
      })
    }
  })
}
