/** Routes where `router_flavor` is `expressions`, and what is wrong with them in Kong's words. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'
import { catalogueOf } from '../config/kinds.ts'
import { bundledPlugins } from '../plugins/index.ts'

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin({ router_flavor: 'expressions' }, catalogueOf(bundledPlugins, { flavor: 'expressions' }))
})
after(() => admin.stop())

const post = (route: object) => admin.send('POST', '/routes', route)
const failed = 'schema violation (Router Expression failed validation: '

test('a route may have an expression and a priority in place of hosts, paths and so on', async () => {
  const { status, json } = await post({ expression: 'http.path ^= "/a" && net.port == 80', priority: 7 })
  assert.equal(status, 201)
  assert.deepEqual([json.expression, json.priority, json.paths], ['http.path ^= "/a" && net.port == 80', 7, null])
  const fields = await post({ paths: ['/b'] })
  assert.deepEqual([fields.status, fields.json.expression, fields.json.priority], [201, null, 0])
  const connection = await post({ protocols: ['http'], hosts: ['a.test'], sources: [{ ip: '10.0.0.0/8' }] })
  assert.equal(connection.status, 201)
  const stream = await post({ protocols: ['tcp'], expression: 'net.dst.port == 9000' })
  assert.equal(stream.status, 201)
})

test('what is wrong with an expression is told with its place', async () => {
  const { status, json } = await post({ expression: 'http.path = "/a"' })
  const problem = ' --> 1:11\n  |\n1 | http.path = "/a"\n  |           ^---\n  |\n  = expected binary_operator'
  assert.equal(status, 400)
  assert.deepEqual(json, {
    code: 2,
    name: 'schema violation',
    message: `${failed}${problem})`,
    fields: { '@entity': [`Router Expression failed validation: ${problem}`] },
  })
})

test('an expression is checked for its protocols, also before it is written', async () => {
  const check = async (route: object) => {
    const { status, json } = await admin.send('POST', '/schemas/routes/validate', route)
    return status === 200 ? 'valid' : json.message
  }
  assert.equal(await check({ expression: 'http.path == "/"' }), 'valid')
  assert.equal(await check({ expression: 'nothing == "/"' }), `${failed}Unknown LHS field)`)
  assert.equal(await check({ protocols: ['tcp'], expression: 'http.path == "/"' }), `${failed}Unknown LHS field)`)
  assert.equal(
    await check({ expression: 'http.path.segments.1_0 == "a"' }),
    `${failed}illformed http.path.segments.* field)`,
  )
})

test('an expression stands alone, and a priority only with one', async () => {
  const others = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'"
  const messageOf = async (route: object) => (await post(route)).json.message
  const expression = 'http.path == "/"'
  assert.equal(
    await messageOf({ expression, paths: ['/a'] }),
    `${failed}cannot set 'expression' with ${others} simultaneously)`,
  )
  assert.equal(
    await messageOf({ priority: 1, paths: ['/a'] }),
    `${failed}cannot set 'priority' with ${others} simultaneously)`,
  )
  assert.equal(
    await messageOf({ expression, regex_priority: 1 }),
    `${failed}cannot set 'regex_priority' with 'expression' simultaneously)`,
  )
  assert.match(await messageOf({}), /must set one of 'methods', 'hosts', 'headers', 'paths', 'snis', 'expression' when/)
})

test('the schema tells the two fields', async () => {
  const { json } = await admin.send('GET', '/schemas/routes')
  const own = Object.assign({}, ...json.fields.slice(-2))
  assert.equal(own.expression.type, 'string')
  const { description: _, ...priority } = own.priority
  assert.deepEqual(priority, { type: 'integer', between: [0, 70_368_744_177_663], required: true, default: 0 })
  assert.equal((await admin.send('GET', '/')).json.configuration.router_flavor, 'expressions')
})

test('without the flavour there are no such fields', async (t) => {
  const other = await startTestAdmin()
  t.after(() => other.stop())
  const { status, json } = await other.send('POST', '/routes', { expression: 'http.path == "/"' })
  assert.deepEqual([status, json.fields.expression], [400, 'unknown field'])
})
