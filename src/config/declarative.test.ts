import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { CheckContext } from '../schema/check.ts'
import type { Schema, Subschema } from '../schema/field.ts'
import type { Operation, Stored } from '../store/store.ts'
import {
  configHash,
  type Checked,
  type DeclarativeOptions,
  emptyHash,
  isLoaded,
  loadDeclarative,
  loadedHash,
  parseDeclarative,
  previousOf,
  type Refusal,
} from './declarative.ts'
import { kinds } from './kinds.ts'

const clock = (now = 1_700_000_000): CheckContext => {
  let made = 0
  return {
    now: () => now,
    uuid: () => assert.fail('an id was left to chance'),
    randomText: () => `made-${now}-${++made}`,
  }
}

function load(input: string | object, options: DeclarativeOptions = {}): Checked {
  const parsed = parseDeclarative(input, { context: clock(), ...options })
  if (!parsed.ok) assert.fail(parsed.message)
  return parsed
}

function refuse(input: string | object, options: DeclarativeOptions = {}): Refusal {
  const parsed = parseDeclarative(input, { context: clock(), ...options })
  if (parsed.ok) assert.fail('it was loaded')
  return parsed
}

const of = ({ entities }: Checked, kind: string): Stored[] =>
  entities.filter((loaded) => loaded.kind === kind).map(({ entity }) => entity)

const file = (sections: object): object => ({ _format_version: '3.0', ...sections })
const fields = (sections: object): unknown => refuse(file(sections)).fields
const flat = (sections: object, options: DeclarativeOptions = {}): unknown =>
  refuse(file(sections), { flatten: true, ...options }).flattened

const anyPlugin: Subschema = {
  fields: [
    { consumer: { type: 'foreign', reference: 'consumers', eq: null } },
    { config: { type: 'record', required: true, fields: [{ max_age: { type: 'number' } }] } },
  ],
}

/** The kinds with a plugin that cannot be limited to a consumer, and credentials whose key is a secret. */
const moreKinds: ReadonlyMap<string, Schema> = new Map([
  ...[...kinds].map(([name, schema]): [string, Schema] => [
    name,
    name === 'plugins'
      ? { ...schema, subschemas: new Map([...(schema.subschemas ?? []), ['cors', anyPlugin]]) }
      : schema,
  ]),
  [
    'keyauth_credentials',
    {
      name: 'keyauth_credentials',
      endpoint_key: 'key',
      cache_key: ['key'],
      fields: [
        { id: { type: 'string', uuid: true, auto: true } },
        { consumer: { type: 'foreign', reference: 'consumers', required: true, on_delete: 'cascade' } },
        { key: { type: 'string', unique: true, auto: true, encrypted: true } },
      ],
    },
  ],
])

const howTo = readFileSync(new URL('testdata/jwt-how-to.yaml', import.meta.url), 'utf8')

test('the how-to file loads with every entity tied to its parent', () => {
  const loaded = load(howTo)
  const [service] = of(loaded, 'services')
  const [consumer] = of(loaded, 'consumers')
  assert.deepEqual(
    loaded.entities.map(({ kind }) => kind),
    ['consumers', 'services', 'routes', 'jwt_secrets', 'jwt_secrets', 'plugins'],
  )
  assert.equal(service?.['host'], '127.0.0.1')
  assert.deepEqual(of(loaded, 'plugins')[0]?.['service'], { id: service?.id })
  assert.deepEqual(of(loaded, 'routes')[0]?.['service'], { id: service?.id })
  assert.deepEqual(
    of(loaded, 'jwt_secrets').map((secret) => secret['consumer']),
    [{ id: consumer?.id }, { id: consumer?.id }],
  )
  assert.equal(loaded.hash, configHash(howTo))
})

test('ids that are left out are those that Kong makes', () => {
  const loaded = load(
    file({
      consumers: [{ username: 'a', plugins: [{ name: 'cors' }] }],
      services: [{ name: 'a', host: 'x' }],
      plugins: [{ name: 'cors' }],
    }),
    { kinds: moreKinds },
  )
  assert.equal(of(loaded, 'services')[0]?.id, '72734e2a-702d-5711-b9ef-697178108ad8')
  assert.equal(of(loaded, 'consumers')[0]?.id, '0b2e2520-8980-505a-b7a2-769e8dde10c3')
  assert.ok(of(loaded, 'plugins').some(({ id }) => id === '48ee727e-8b90-5faa-bda1-a3c6bc3c9daa'))
})

test('nameless entities have ids that follow from what they say, each its own', () => {
  const routes = [{ paths: ['/a'] }, { paths: ['/a'] }, { paths: ['/b'] }]
  const ids = of(load(file({ routes })), 'routes').map(({ id }) => id)
  assert.equal(new Set(ids).size, 3)
  const more = of(load(file({ routes: [{ paths: ['/new'] }, ...routes] })), 'routes').map(({ id }) => id)
  assert.deepEqual(more.slice(1), ids)
})

test('an id never follows from a secret', () => {
  const idWith = (key: string): unknown =>
    of(
      load(file({ consumers: [{ username: 'a', keyauth_credentials: [{ key }] }] }), { kinds: moreKinds }),
      'keyauth_credentials',
    )[0]?.id
  assert.equal(idWith('one'), idWith('other'))
  const jwt = (secret: string): unknown =>
    of(load(file({ consumers: [{ username: 'a', jwt_secrets: [{ key: 'k', secret }] }] })), 'jwt_secrets')[0]?.id
  assert.equal(jwt('one'), jwt('other'))
})

test('references are names, ids or objects that hold either, in any order of sections', () => {
  const id = '11111111-1111-4111-8111-111111111111'
  const loaded = load(
    file({
      plugins: [
        { name: 'jwt', service: 'a' },
        { name: 'jwt', service: { id } },
        { name: 'jwt', route: { name: 'r' } },
      ],
      routes: [{ name: 'r', paths: ['/'], service: id }],
      services: [
        { name: 'a', host: 'x' },
        { id, name: 'b', host: 'x' },
      ],
      jwt_secrets: [{ consumer: 'jane', key: 'k' }],
      consumers: [{ username: 'jane' }],
    }),
  )
  const [a, b] = of(loaded, 'services')
  assert.deepEqual(
    of(loaded, 'plugins').map(({ service }) => service),
    [{ id: a?.id }, { id: b?.id }, null],
  )
  assert.deepEqual(of(loaded, 'routes')[0]?.['service'], { id })
  assert.deepEqual(of(loaded, 'jwt_secrets')[0]?.['consumer'], { id: of(loaded, 'consumers')[0]?.id })
})

test('a file of an older format has its paths rewritten as Kong 3 reads them', () => {
  const routes = [{ name: 'r', paths: ['/status/\\d+', '/a%7eb//c/../d'] }]
  const old = load({ _format_version: '2.1', services: [{ name: 'a', host: 'x', routes }] })
  assert.deepEqual(of(old, 'routes')[0]?.['paths'], ['~/status/\\d+', '/a~b/d'])
})

test('what is only said to readers or to other programs is passed over', () => {
  const loaded = load({
    _format_version: '3.0',
    _transform: false,
    _comment: 'hello',
    _ignore: [1],
    _info: { select_tags: ['a'] },
    workspaces: [{ name: 'default' }],
    services: [{ name: 'a', host: 'x', _comment: 'hm', _ignore: ['x'], ws_id: '0dc6f45b-8f8d-40d2-a504-473544ee190b' }],
    routes: null,
  })
  assert.equal(loaded.entities.length, 1)
  assert.equal(loaded.transform, false)
  assert.deepEqual(refuse(file({ _info: {} }), { info: 'refused' }).fields, { _info: 'unknown field' })
})

test('every mistake is told at once, in a tree by section and index', () => {
  assert.deepEqual(
    fields({
      nope: [],
      services: [{ name: 'a' }, { name: 'b', host: 'x', port: 'y', routes: [{}, { paths: ['x'] }] }],
      consumers: [{ username: 'a' }, { username: 'a' }, 'x', 5],
      routes: [{ name: 'r', paths: ['/'], service: 'ghost' }],
      upstreams: 'x',
    }),
    {
      nope: 'unknown field',
      upstreams: 'expected an array',
      consumers: [
        null,
        "uniqueness violation: 'consumers' entity with username set to 'a' already declared",
        'expected a record',
        'expected a record',
      ],
      services: [
        { host: 'required field missing' },
        {
          port: 'expected an integer',
          routes: [
            {
              '@entity': ["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"],
            },
            { paths: ['should start with: / (fixed path) or ~/ (regex path)'] },
          ],
        },
      ],
      routes: { r: ["invalid reference 'service: ghost' (no such entry in 'services')"] },
    },
  )
})

test('the message holds the tree as a Lua table', () => {
  const { message, code, name } = refuse(file({ consumers: [{ username: 'a' }, { username: 'a' }] }))
  assert.deepEqual([code, name], [14, 'invalid declarative configuration'])
  assert.equal(
    message,
    `declarative config is invalid: {consumers={[2]="uniqueness violation: 'consumers' entity with username set to 'a' already declared"}}`,
  )
})

test('what the store would refuse as a duplicate is refused before', () => {
  const id = (digit: number): string => `${String(digit).repeat(8)}-1111-4111-8111-111111111111`
  assert.deepEqual(
    fields({
      consumers: [
        { username: 'a', custom_id: 'x' },
        { username: 'b', custom_id: 'x' },
      ],
    }),
    {
      consumers: { b: "uniqueness violation: 'consumers' entity with custom_id set to 'x' already declared" },
    },
  )
  assert.deepEqual(
    fields({
      plugins: [
        { id: id(1), name: 'jwt' },
        { id: id(2), name: 'jwt' },
      ],
    }),
    {
      plugins: [null, "uniqueness violation: 'plugins' entity with name set to 'jwt' already declared"],
    },
  )
  assert.deepEqual(
    fields({
      consumers: [
        { username: 'a', jwt_secrets: [{ key: 'k' }] },
        { username: 'b', jwt_secrets: [{ key: 'k' }] },
      ],
    }),
    {
      consumers: [
        null,
        { jwt_secrets: ["uniqueness violation: 'jwt_secrets' entity with key set to 'k' already declared"] },
      ],
    },
  )
})

test('a target that is none is told with what it says', () => {
  const target = "Invalid target ('bad host'); not a valid hostname or ip address"
  const upstreams = [{ name: 'u', targets: [{ target: 'bad host', weight: -1 }] }]
  const weight = 'value should be between 0 and 65535'
  assert.deepEqual(fields({ upstreams }), { upstreams: [{ targets: [{ target, weight }] }] })
})

test('with flattened errors each entity has its entry, nested ones before that in which they are nested', () => {
  const id = '11111111-1111-4111-8111-111111111111'
  const services = [
    { id, name: 'a', tags: ['t'], routes: [{ name: 'r', paths: ['/', 'x', 'y'], plugins: [{ name: 'nope' }] }] },
  ]
  assert.deepEqual(flat({ services }), [
    {
      entity_type: 'plugin',
      entity_name: 'nope',
      entity: { name: 'nope' },
      errors: [
        {
          type: 'field',
          field: 'name',
          message: "plugin 'nope' not enabled; add it to the 'plugins' configuration property",
        },
      ],
    },
    {
      entity_type: 'route',
      entity_name: 'r',
      entity: { name: 'r', paths: ['/', 'x', 'y'], service: { id } },
      errors: [3, 2].map((index) => ({
        type: 'field',
        field: `paths.${index}`,
        message: 'should start with: / (fixed path) or ~/ (regex path)',
      })),
    },
    {
      entity_type: 'service',
      entity_id: id,
      entity_name: 'a',
      entity_tags: ['t'],
      entity: { id, name: 'a', tags: ['t'] },
      errors: [{ type: 'field', field: 'host', message: 'required field missing' }],
    },
  ])
})

test('flattened entries of what stands there twice show the id that it would have', () => {
  const duplicate = "uniqueness violation: 'keyauth_credentials' entity with key set to 'k' already declared"
  const consumers = ['a', 'b'].map((username) => ({ username, keyauth_credentials: [{ key: 'k' }] }))
  assert.deepEqual(flat({ consumers }, { kinds: moreKinds }), [
    {
      entity_type: 'keyauth_credential',
      entity: { key: 'k', consumer: { id: '5ce2872b-9a8e-5a66-88d5-9080c75d7986' } },
      errors: [{ type: 'entity', message: duplicate }],
    },
  ])
  assert.deepEqual(flat({ plugins: [{ name: 'cors' }, { name: 'cors' }] }, { kinds: moreKinds }), [
    {
      entity_type: 'plugin',
      entity_id: '48ee727e-8b90-5faa-bda1-a3c6bc3c9daa',
      entity_name: 'cors',
      entity: { id: '48ee727e-8b90-5faa-bda1-a3c6bc3c9daa', name: 'cors' },
      errors: [
        {
          type: 'entity',
          message:
            "uniqueness violation: 'plugins' entity with primary key set to '48ee727e-8b90-5faa-bda1-a3c6bc3c9daa' already declared",
        },
      ],
    },
  ])
})

test('flattened entries tell of references that lead nowhere and of unique values, too', () => {
  const twice = { type: 'field', field: 'custom_id' }
  const lost = { type: 'field', field: 'service' }
  const content = {
    consumers: ['a', 'b'].map((username) => ({ username, custom_id: 'x' })),
    routes: [{ name: 'r', paths: ['/'], service: 'ghost' }],
  }
  assert.deepEqual(
    refuse(file(content), { flatten: true }).flattened?.map(({ entity_type, errors }) => [entity_type, ...errors]),
    [
      ['route', { ...lost, message: "invalid reference 'service: ghost' (no such entry in 'services')" }],
      [
        'consumer',
        { ...twice, message: "uniqueness violation: 'consumers' entity with custom_id set to 'x' already declared" },
      ],
    ],
  )
})

test('a plugin that cannot be limited to a consumer says so in the flat form, and Kong takes the nested one', () => {
  assert.deepEqual(flat({ plugins: [{ name: 'cors', consumer: 'ghost' }] }, { kinds: moreKinds }), [
    {
      entity_type: 'plugin',
      entity_name: 'cors',
      entity: { name: 'cors', consumer: 'ghost' },
      errors: [{ type: 'field', field: 'consumer', message: 'value must be null' }],
    },
  ])
  load(file({ consumers: [{ username: 'a', plugins: [{ name: 'cors' }] }] }), { kinds: moreKinds })
})

test('each mistake is told with its line and column', () => {
  const text = `_format_version: "3.0"
services:
- name: a
  hots: x
  host: y
  routes:
  - name: r
    paths:
    - /ok
    - bad
consumers:
- username: jane
- {username: jane}
`
  assert.deepEqual(
    refuse(text)
      .places()
      .map(({ line, column, message, path }) => [line, column, path.join('.'), message]),
    [
      [4, 3, 'services.0.hots', 'unknown field'],
      [10, 7, 'services.0.routes.0.paths.1', 'should start with: / (fixed path) or ~/ (regex path)'],
      [
        13,
        4,
        'consumers.1.username',
        "uniqueness violation: 'consumers' entity with username set to 'jane' already declared",
      ],
    ],
  )
  const json = '{"_format_version": "3.0",\n "services": [{"name": "a"}]}'
  assert.deepEqual(
    refuse(json)
      .places()
      .map(({ line, column, message }) => [line, column, message]),
    [[2, 15, 'required field missing']],
  )
})

test('a text that is no configuration is told where it breaks', () => {
  const syntax = 'failed parsing declarative configuration: '
  assert.deepEqual(refuse('a: [b').fields, { error: `${syntax}1:5: did not find expected ',' or ']'` })
  assert.deepEqual(refuse('just words').fields, { error: `${syntax}expected an object` })
  assert.deepEqual(refuse('').fields, { error: `${syntax}expected an object` })
  assert.deepEqual(refuse('[]').fields, { _format_version: 'required field missing' })
  assert.deepEqual(
    refuse('{"a": 1,\n "secret": "s3cret}', { format: 'json' })
      .places()
      .map(({ line }) => line),
    [2],
  )
  assert.doesNotMatch(refuse('{"secret": "s3cret" x}', { format: 'json' }).message, /s3cret/)
})

test('limits hold for depth, length and what aliases unfold into', () => {
  const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
  assert.match(refuse(`{"_format_version": "3.0", "a": ${deep(500)}}`).message, /nested more than 100 levels deep/)
  assert.match(refuse(`_format_version: "3.0"\na: ${deep(500)}`).message, /nested more than 100 levels deep/)
  assert.match(refuse(deep(200_000)).message, /nested/)
  assert.match(refuse({ a: JSON.parse(deep(500)) as unknown }).message, /nested more than 100 levels deep/)
  assert.match(
    refuse('x'.repeat(100), { limits: { length: 10, depth: 9, aliasedNodes: 9 } }).message,
    /longer than 10 characters/,
  )
  const laughs = Array.from(
    { length: 9 },
    (_, i) => `l${i + 1}: &l${i + 1} [${Array.from({ length: 10 }, () => `*l${i}`).join(', ')}]`,
  )
  assert.match(refuse(`l0: &l0 ha\n${laughs.join('\n')}`).message, /aliases unfold into too much data/)
})

test('a key named __proto__ is an unknown field wherever it stands', () => {
  const text =
    '{"_format_version":"3.0","__proto__":{"x":1},"services":[{"name":"a","host":"b","__proto__":{"port":1}}]}'
  for (const input of [text, text.replaceAll('"', "'"), JSON.parse(text) as object]) {
    const { fields } = refuse(input)
    assert.deepEqual(Object.keys(fields).sort(), ['__proto__', 'services'])
    assert.match(JSON.stringify(fields), /"services":\[\{"__proto__":"unknown field"\}\]/)
  }
  assert.equal(({} as { x?: number }).x, undefined)
})

test("the hash is the text's, or zeros where there are no entities", () => {
  const text = '_format_version: "3.0"\nconsumers:\n- username: z\n'
  assert.equal(load(text).hash, configHash(text))
  assert.match(load(text).hash, /^[0-9a-f]{32}$/)
  assert.equal(load('_format_version: "3.0"').hash, emptyHash)
  const data = file({ consumers: [{ username: 'z', tags: ['a'] }] })
  assert.equal(load(data).hash, load({ ...data }).hash)
})

test('loading the same file again changes nothing, and a changed entity keeps its time of creation', async () => {
  const store = memory()
  const text = `${howTo}- username: joe\n  jwt_secrets:\n  - {}\n`
  const first = load(text, { context: clock(1000) })
  await loadDeclarative(store, first)
  const again = load(text, { context: clock(2000), previous: previousOf(store) })
  assert.deepEqual(again.entities, first.entities)
  assert.equal(loadedHash(store), first.hash)
  const changed = load(text.replace('8085', '8086'), { context: clock(3000), previous: previousOf(store) })
  const [service] = of(changed, 'services')
  assert.deepEqual([service?.['port'], service?.['created_at'], service?.['updated_at']], [8086, 1000, 3000])
  assert.deepEqual(of(changed, 'routes'), of(first, 'routes'))
})

test('a secret that was made up stays, and one that the file once said does not', async () => {
  const store = memory()
  const made = file({ consumers: [{ username: 'a', jwt_secrets: [{ key: 'k' }] }] })
  const said = file({ consumers: [{ username: 'a', jwt_secrets: [{ key: 'k', secret: 'leaked' }] }] })
  const secretOf = (loaded: Checked): unknown => of(loaded, 'jwt_secrets')[0]?.['secret']
  const first = load(made)
  await loadDeclarative(store, first)
  const again = load(made, { context: clock(9), previous: previousOf(store) })
  assert.equal(secretOf(again), secretOf(first))
  await loadDeclarative(store, load(said, { previous: previousOf(store) }))
  assert.notEqual(secretOf(load(made, { context: clock(10), previous: previousOf(store) })), 'leaked')
})

test('the input is left as it was', () => {
  const input = { _format_version: '2.1', services: [{ name: 'a', url: 'http://x', routes: [{ paths: ['/\\d'] }] }] }
  const before = structuredClone(input)
  load(input)
  assert.deepEqual(input, before)
})

const word = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'x y', '')
const value = fc.oneof(word, fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, {}, [], -1))
const fieldNames = [
  'name',
  'id',
  'host',
  'url',
  'paths',
  'service',
  'username',
  'key',
  'config',
  'target',
  'tags',
  '__proto__',
]
const fieldName = fc.constantFrom(...fieldNames)
const below = fc.constantFrom('routes', 'plugins', 'jwt_secrets', 'targets', 'snis', 'services')

/** Something like an entity, with others nested in it. */
const entityOf = (levels: number): fc.Arbitrary<unknown> => {
  const own = fc.dictionary(fieldName, value, { maxKeys: 5 })
  if (levels === 0) return fc.oneof(own, value)
  const children = fc.dictionary(below, fc.array(entityOf(levels - 1), { maxLength: 3 }), { maxKeys: 2 })
  return fc.oneof(
    value,
    fc.tuple(own, children).map(([fields, nested]) => ({ ...fields, ...nested })),
  )
}

test('no data makes it throw', () => {
  const sections = fc.dictionary(
    fc.constantFrom(...kinds.keys(), '_format_version', '_transform', '_comment', '_info', 'x', '__proto__'),
    fc.oneof(fc.array(entityOf(2), { maxLength: 4 }), value, fc.constant('3.0')),
    { maxKeys: 6 },
  )
  fc.assert(
    fc.property(sections, fc.boolean(), (input, flatten) => {
      const parsed = parseDeclarative(input, { flatten })
      if (parsed.ok) return
      assert.ok(parsed.places().length > 0)
      assert.equal(JSON.stringify(parsed.fields).length > 0, true)
    }),
    { numRuns: 500 },
  )
})

test('no text makes it throw', () => {
  const pieces = fc.constantFrom(
    '_format_version: "3.0"\n',
    'services:\n',
    '- ',
    'name: a\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    '&a ',
    '*a',
    '<<: ',
    ': ',
    '"',
    "'",
    '|\n',
    '!!int ',
    '---\n',
    '\t',
    '\0',
    '\u2028',
    '%YAML 1.1\n',
    '# x\n',
    '? ',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
      ),
      (text) => {
        const parsed = parseDeclarative(text)
        if (!parsed.ok) assert.ok(parsed.places().every(({ line, column }) => line >= 1 && column >= 1))
      },
    ),
    { numRuns: 1000 },
  )
})

/** What loading needs of a store, in memory. */
function memory() {
  const entities = new Map<string, Stored>()
  const meta = new Map<string, string>()
  return {
    count: (kind: string) => [...entities.keys()].filter((key) => key.startsWith(`${kind}/`)).length,
    get: (kind: string, id: string) => entities.get(`${kind}/${id}`),
    meta: (name: string) => meta.get(name),
    write(operations: readonly Operation[]) {
      for (const operation of operations) {
        if (operation.do === 'meta') meta.set(operation.name, operation.value ?? '')
        if (operation.do !== 'replace-all') continue
        entities.clear()
        for (const { kind, entity } of operation.entities) entities.set(`${kind}/${entity.id}`, entity)
      }
      return Promise.resolve({ ok: true as const, revision: 1, changes: [] })
    },
  }
}

test('a text that a store holds already need not be loaded again, unless another version reads it or an entity has died', async () => {
  const store = memory()
  const text = '_format_version: "3.0"\nservices:\n- name: a\n  url: http://a.test\n'
  assert.equal(isLoaded(store, text, '1'), false)
  await loadDeclarative(store, load(text), '1')
  assert.equal(isLoaded(store, text, '1'), true)
  assert.equal(isLoaded(store, text, '2'), false)
  assert.equal(isLoaded(store, `${text}# other`, '1'), false)
  await loadDeclarative(store, load(text))
  assert.equal(isLoaded(store, text, '1'), false)
})
