import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from '../config/kinds.ts'
import { type CheckContext, type Checked, checkInsert, checkUpdate, checkUpsert, errorMessage } from './check.ts'
import type { Schema } from './field.ts'

const id = '00000201-0000-4000-8000-000000000000'
const other = '00000202-0000-4000-8000-000000000000'
const at = (seconds: number): CheckContext => ({ now: () => seconds, uuid: () => id, randomText: () => 'r'.repeat(32) })
const context = at(1_700_000_000.75)

function kind(name: string): Schema {
  const schema = kinds.get(name)
  assert.ok(schema, name)
  return schema
}

function valueOf(checked: Checked): Record<string, unknown> {
  assert.ok(checked.ok, checked.ok ? '' : errorMessage(checked.errors))
  return checked.value
}

const messageOf = (checked: Checked): string =>
  checked.ok ? `accepted: ${JSON.stringify(checked.value)}` : errorMessage(checked.errors)
const insert = (name: string, input: unknown): Checked => checkInsert(kind(name), input, context)

test('an insert gets an id, times in whole seconds, defaults, and null where there is no value', () => {
  assert.deepEqual(valueOf(insert('services', { host: 'h.test' })), {
    id,
    created_at: 1_700_000_000,
    updated_at: 1_700_000_000,
    name: null,
    retries: 5,
    protocol: 'http',
    host: 'h.test',
    port: 80,
    path: null,
    connect_timeout: 60_000,
    write_timeout: 60_000,
    read_timeout: 60_000,
    tags: null,
    client_certificate: null,
    tls_verify: null,
    tls_verify_depth: null,
    ca_certificates: null,
    enabled: true,
  })
})

test("a target's times are seconds with milliseconds", () => {
  const target = valueOf(insert('targets', { target: 'x.test', upstream: { id } }))
  assert.equal(target['created_at'], 1_700_000_000.75)
})

test('a credential without key and secret gets random ones; null is kept as null', () => {
  const made = valueOf(insert('jwt_secrets', { consumer: { id } }))
  assert.deepEqual([made['key'], made['secret'], made['algorithm']], ['r'.repeat(32), 'r'.repeat(32), 'HS256'])
  const none = valueOf(insert('jwt_secrets', { consumer: { id }, key: null, secret: null }))
  assert.deepEqual([none['key'], none['secret']], [null, null])
})

test("null for what would be made is kept, also where it is then missing: decK sends it to have the file's say", () => {
  const oauth2 = (config: object) =>
    insert('plugins', { name: 'oauth2', config: { enable_implicit_grant: true, ...config } })
  assert.equal((valueOf(oauth2({}))['config'] as { provision_key: string }).provision_key, 'r'.repeat(32))
  assert.equal(
    messageOf(oauth2({ provision_key: null })),
    'schema violation (config.provision_key: required field missing)',
  )
})

test('random texts are 32 alphanumerics', () => {
  const made = valueOf(checkInsert(kind('jwt_secrets'), { consumer: { id } }))
  assert.match(String(made['key']), /^[A-Za-z0-9]{32}$/)
  assert.notEqual(made['key'], made['secret'])
})

test('created_at is taken when given, updated_at never', () => {
  const service = valueOf(insert('services', { host: 'h', created_at: 5, updated_at: 'nonsense' }))
  assert.deepEqual([service['created_at'], service['updated_at']], [5, 1_700_000_000])
})

test('updated_at is taken, and ignored, by entities without it', () => {
  assert.equal('updated_at' in valueOf(insert('jwt_secrets', { consumer: { id }, updated_at: 5 })), false)
})

test('sets lose their duplicates and keep their order; an empty set stays', () => {
  assert.deepEqual(valueOf(insert('services', { host: 'h', tags: ['b', 'a', 'b'] }))['tags'], ['b', 'a'])
  assert.deepEqual(valueOf(insert('services', { host: 'h', tags: [] }))['tags'], [])
})

test('an empty object is an empty array, and an empty array an empty record', () => {
  assert.deepEqual(valueOf(insert('services', { host: 'h', tags: {} }))['tags'], [])
  const plugin = valueOf(insert('plugins', { name: 'jwt', config: [] }))
  assert.equal((plugin['config'] as Record<string, unknown>)['key_claim_name'], 'iss')
})

test("a plugin's config gets the defaults of its schema, and null for a default is kept", () => {
  const plugin = valueOf(insert('plugins', { name: 'jwt', config: { header_names: null } }))
  assert.deepEqual(plugin['config'], {
    uri_param_names: ['jwt'],
    cookie_names: [],
    key_claim_name: 'iss',
    secret_is_base64: false,
    claims_to_verify: null,
    anonymous: null,
    run_on_preflight: true,
    maximum_expiration: 0,
    header_names: null,
    realm: null,
  })
  assert.deepEqual(plugin['protocols'], ['grpc', 'grpcs', 'http', 'https'])
})

test('maximum_expiration without claims_to_verify is taken', () => {
  assert.ok(insert('plugins', { name: 'jwt', config: { maximum_expiration: 60 } }).ok)
})

test('references keep their id alone', () => {
  const route = valueOf(insert('routes', { paths: ['/'], service: { id, name: 'x' } }))
  assert.deepEqual(route['service'], { id })
})

test('what is wrong with a reference is said below its field', () => {
  const text = (service: unknown) => messageOf(insert('routes', { paths: ['/'], service }))
  assert.equal(text('svc'), 'schema violation (service.id: missing primary key)')
  assert.equal(text(5), 'schema violation (service.id: missing primary key)')
  assert.equal(text({ id: null }), 'schema violation (service.id: required field missing)')
  assert.equal(text({ id: 5 }), 'schema violation (service.id: expected a string)')
  assert.equal(text({ nope: 1 }), 'schema violation (service.nope: unknown field)')
})

test('a body that is no table is refused', () => {
  for (const body of [null, undefined, 'x', 5, true]) assert.equal(insert('services', body).ok, false)
  assert.equal(
    messageOf(insert('services', ['x'])),
    '2 schema violations (1: unknown field; host: required field missing)',
  )
})

test('names of what every object has are unknown fields like any other', () => {
  const body: unknown = JSON.parse('{"host":"h","__proto__":{"admin":true},"constructor":1,"toString":2}')
  const checked = insert('services', body)
  assert.equal(
    messageOf(checked),
    '3 schema violations (__proto__: unknown field; constructor: unknown field; toString: unknown field)',
  )
  assert.equal(({} as Record<string, unknown>)['admin'], undefined)
  const nested: unknown = JSON.parse('{"name":"jwt","config":{"__proto__":{"admin":true}}}')
  assert.equal(messageOf(insert('plugins', nested)), 'schema violation (config.__proto__: unknown field)')
})

test('keys of a map may have any name that its rules allow', () => {
  const body: unknown = JSON.parse('{"hosts":["h.test"],"headers":{"__proto__":["a"],"x-b":["c"]}}')
  const headers = valueOf(insert('routes', body))['headers']
  assert.deepEqual(Object.keys(headers as object), ['__proto__', 'x-b'])
})

test('a plugin of an unknown name, or of none, is told so and nothing else', () => {
  const text = (name: unknown) => messageOf(insert('plugins', { name, nope: 1 }))
  assert.equal(
    text('x'),
    "schema violation (name: plugin 'x' not enabled; add it to the 'plugins' configuration property)",
  )
  assert.equal(
    text('$&'),
    "schema violation (name: plugin '$&' not enabled; add it to the 'plugins' configuration property)",
  )
  assert.equal(text(undefined), 'schema violation (name: required field missing)')
  assert.equal(text(5), 'schema violation (name: expected a string)')
})

test("a service's url stands for its parts", () => {
  const parts = (url: string) => {
    const { protocol, host, port, path } = valueOf(insert('services', { url, port: 1, path: '/other' }))
    return [protocol, host, port, path]
  }
  assert.deepEqual(parts('http://h.test'), ['http', 'h.test', 80, null])
  assert.deepEqual(parts('https://h.test/a/b'), ['https', 'h.test', 443, '/a/b'])
  assert.deepEqual(parts('https://user:pass@h.test:8443/a?q=1#f'), ['https', 'h.test', 8443, '/a'])
  assert.deepEqual(parts('//h.test:443/'), ['https', 'h.test', 443, '/'])
  assert.deepEqual(parts('tcp://h.test:9000'), ['tcp', 'h.test', 9000, null])
  assert.deepEqual(parts('http://[::1]:81/'), ['http', '::1', 81, '/'])
})

test('targets are kept with their port and with addresses in full', () => {
  const target = (text: string) => valueOf(insert('targets', { target: text, upstream: { id } }))['target']
  assert.equal(target('h.test'), 'h.test:8000')
  assert.equal(target('010.0.0.1:80'), '10.0.0.1:80')
  assert.equal(target('[::1]:9'), '[0000:0000:0000:0000:0000:0000:0000:0001]:9')
})

test("an upstream's algorithm and hash_on set each other", () => {
  const upstream = (body: object) => {
    const { algorithm, hash_on } = valueOf(insert('upstreams', { name: 'u', ...body }))
    return [algorithm, hash_on]
  }
  assert.deepEqual(upstream({}), ['round-robin', 'none'])
  assert.deepEqual(upstream({ hash_on: 'ip' }), ['consistent-hashing', 'ip'])
  assert.deepEqual(upstream({ algorithm: 'least-connections', hash_on: 'ip' }), ['least-connections', 'none'])
  assert.deepEqual(upstream({ hash_on: null }), ['round-robin', 'none'])
})

test('a value that stands for a secret kept elsewhere is taken where the schema says so', () => {
  const reference = '{vault://env/some-key}'
  assert.ok(insert('certificates', { cert: reference, key: reference }).ok)
  assert.equal(insert('services', { host: reference }).ok, false)
})

// PATCH

const service = valueOf(insert('services', { name: 's', host: 'h.test', tags: ['a'], retries: null }))
const patchService = (body: unknown) => checkUpdate(kind('services'), service, body, at(1_800_000_000))
const plugin = valueOf(insert('plugins', { name: 'jwt', config: { header_names: null, key_claim_name: 'kid' } }))
const patchPlugin = (body: unknown) => checkUpdate(kind('plugins'), plugin, body, at(1_800_000_000))

test('a PATCH changes what it names, sets updated_at and leaves the rest, nulls included', () => {
  assert.deepEqual(valueOf(patchService({ port: 81 })), { ...service, port: 81, updated_at: 1_800_000_000 })
})

test('a PATCH merges records deeply and replaces arrays', () => {
  const patched = valueOf(patchPlugin({ config: { cookie_names: ['c'] } }))
  assert.deepEqual(patched['config'], { ...(plugin['config'] as object), cookie_names: ['c'] })
  assert.deepEqual(valueOf(patchService({ tags: ['b'] }))['tags'], ['b'])
})

test('a PATCH with an empty array for a record changes nothing in it', () => {
  assert.deepEqual(valueOf(patchPlugin({ config: [] }))['config'], plugin['config'])
})

test('null in a PATCH clears, except where a value is required', () => {
  assert.equal(valueOf(patchService({ tags: null }))['tags'], null)
  assert.equal(messageOf(patchService({ port: null })), 'schema violation (port: required field missing)')
  assert.equal(messageOf(patchPlugin({ config: null })), 'schema violation (config: required field missing)')
})

test("a PATCH of a plugin's name checks the old config by the new schema", () => {
  const own: Schema = {
    ...kind('plugins'),
    subschemas: new Map([
      ['other', { fields: [{ config: { type: 'record', required: true, fields: [{ realm: { type: 'string' } }] } }] }],
    ]),
  }
  const subschemas = new Map([...(kind('plugins').subschemas ?? []), ...(own.subschemas ?? [])])
  const checked = checkUpdate(
    { ...own, subschemas },
    valueOf(insert('plugins', { name: 'jwt' })),
    { name: 'other' },
    context,
  )
  assert.equal(
    messageOf(checked),
    '9 schema violations (config.anonymous: unknown field; config.claims_to_verify: unknown field; config.cookie_names: unknown field; config.header_names: unknown field; config.key_claim_name: unknown field; config.maximum_expiration: unknown field; config.run_on_preflight: unknown field; config.secret_is_base64: unknown field; config.uri_param_names: unknown field)',
  )
})

test('a PATCH that takes the last name away says that it is an update', () => {
  const consumer = valueOf(insert('consumers', { username: 'bob' }))
  assert.equal(
    messageOf(checkUpdate(kind('consumers'), consumer, { username: null }, context)),
    "schema violation (when updating, at least one of these fields must be non-empty: 'custom_id', 'username')",
  )
})

test('a PATCH to an algorithm that needs a key looks at the key that is there', () => {
  const secret = valueOf(insert('jwt_secrets', { consumer: { id } }))
  assert.equal(
    messageOf(checkUpdate(kind('jwt_secrets'), secret, { algorithm: 'RS256' }, context)),
    "2 schema violations (failed conditional validation given value of field 'algorithm'; rsa_public_key: required field missing)",
  )
})

test('a PATCH of a url replaces the parts', () => {
  const patched = valueOf(patchService({ url: 'https://x.test/p' }))
  assert.deepEqual(
    [patched['protocol'], patched['host'], patched['port'], patched['path']],
    ['https', 'x.test', 443, '/p'],
  )
})

test('a PATCH cannot bring in unknown fields', () => {
  assert.equal(messageOf(patchService({ nope: 1 })), 'schema violation (nope: unknown field)')
  assert.equal(messageOf(patchPlugin({ config: { nope: 1 } })), 'schema violation (config.nope: unknown field)')
})

// PUT

test('a PUT takes what its path says over what its body says, and goes back to the defaults', () => {
  const value = valueOf(checkUpsert(kind('services'), { name: 'path' }, { name: 'body', host: 'h' }, context))
  assert.deepEqual([value['name'], value['retries']], ['path', 5])
  const byId = valueOf(checkUpsert(kind('services'), { id: other }, { id, host: 'h' }, context))
  assert.deepEqual([byId['id'], byId['name']], [other, null])
})
