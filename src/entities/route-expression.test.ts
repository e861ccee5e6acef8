import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from '../config/kinds.ts'
import { checkInsert, errorMessage } from '../schema/check.ts'
import { emptyHeaderError } from './route-expression.ts'

const expressionOf = (route: Parameters<typeof emptyHeaderError>[0]): string =>
  /^1 \| (.*)$/m.exec(emptyHeaderError({ ...route, headers: { ...route.headers, 'x-none': [] } }) ?? '')?.[1] ?? ''

test('a header without values is pointed at in the expression that the router makes of the route', () => {
  assert.equal(emptyHeaderError({ headers: { 'x-a': ['1'] } }), undefined)
  assert.equal(
    emptyHeaderError({ hosts: ['p.test'], headers: { 'x-a': [] } }),
    ' --> 1:32\n  |\n1 | (http.host == r#"p.test"#) && ()\n  |                                ^---\n  |\n  = expected term',
  )
})

test('the expression has what a route matches by, in the order of the router', () => {
  for (const [route, expected] of [
    [{ methods: ['GET', 'PUT'] }, '(http.method == r#"GET"# || http.method == r#"PUT"#) && ()'],
    [
      { hosts: ['*.a.test', 'b.*', 'c.test:80'] },
      '(http.host =^ r#".a.test"# || http.host ^= r#"b."# || (http.host == r#"c.test"# && net.dst.port == 80)) && ()',
    ],
    [{ paths: ['/x', '~/(?<a>y)'] }, '(http.path ^= r#"/x"# || http.path ~ r#"^/(?P<a>y)"#) && ()'],
    [{ snis: ['a.test.'] }, '(net.protocol != r#"https"# || (tls.sni == r#"a.test"#)) && ()'],
    [
      { headers: { 'X-A': ['B', '~*^C'] } },
      '(any(lower(http.headers.x_a)) == r#"b"# || any(lower(http.headers.x_a)) ~ r#"^c"#) && ()',
    ],
    [{ headers: { a: ['"#'] } }, String.raw`(any(lower(http.headers.a)) == "\"#") && ()`],
  ] as const) {
    assert.equal(expressionOf(route), expected)
  }
})

test("a header's pattern that is no regular expression is refused", () => {
  const routes = kinds.get('routes')
  assert.ok(routes)
  assert.equal(checkInsert(routes, { headers: { 'x-a': ['~*^a+$'] } }).ok, true)
  const refused = checkInsert(routes, { headers: { 'x-a': ['~*['] } })
  assert.equal(
    refused.ok ? '' : errorMessage(refused.errors),
    "schema violation (Router Expression failed validation: invalid regex in header 'x-a': '[' (missing terminating ] for character class))",
  )
})
