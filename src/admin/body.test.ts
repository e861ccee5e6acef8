import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parserFor } from './body.ts'
import { inferForm, type FormRecord, parseForm } from './form.ts'
import { parseMultipart } from './multipart.ts'

const json = (text: string) => {
  const parser = parserFor('application/json; charset=utf-8')
  assert.ok(typeof parser === 'function')
  return parser(text, 'application/json')
}

/** A null-prototype record as an ordinary one, for comparing. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('a key named __proto__ is a key like any other', () => {
  const parsed = json('{"__proto__":{"polluted":true},"a":{"__proto__":1,"constructor":2}}')
  assert.ok('body' in parsed)
  assert.deepEqual(Object.keys(parsed.body.value), ['__proto__', 'a'])
  assert.equal(Object.getPrototypeOf(parsed.body.value), null)
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})

test('a form key named __proto__ is a key like any other', () => {
  const form = parseForm('__proto__.polluted=1&a[__proto__]=2')
  assert.deepEqual(Object.keys(form ?? {}), ['__proto__', 'a'])
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})

test('JSON that is no object, is broken or nests too deep is refused', () => {
  const texts = ['', '{', 'null', '5', '"x"', '['.repeat(200) + ']'.repeat(200), '['.repeat(5_000_000)]
  for (const text of texts) assert.ok('refusal' in json(text), text.slice(0, 20))
})

test('brackets inside a JSON string do not count as depth', () => {
  assert.ok('body' in json(`{"a":"${'['.repeat(500)}\\"${'{'.repeat(500)}"}`))
})

test('dotted and bracketed form keys nest', () => {
  const form = parseForm(
    'a.b=1&a[c]=2&list[]=x&list[]=y&n[2]=second&n[1]=first&again=1&again=2&again=3&plus=a+b%2Bc&d&e=f=g',
  )
  assert.deepEqual(plain(form), {
    a: { b: '1', c: '2' },
    list: ['x', 'y'],
    n: ['first', 'second'],
    again: ['1', '2', '3'],
    plus: 'a b+c',
    d: true,
    e: 'f=g',
  })
})

test('records within arrays can be written in a form', () => {
  assert.deepEqual(plain(parseForm('s[1].ip=1.2.3.4&s[1].port=80&s[2].ip=5.6.7.8')), {
    s: [{ ip: '1.2.3.4', port: '80' }, { ip: '5.6.7.8' }],
  })
})

test('forms beyond the limits, with contradicting keys or broken escapes are refused', () => {
  const bodies = ['a[99999]=1', `${'a.'.repeat(40)}b=1`, 'a=1&a.b=2', 'a.b=1&a[]=2', 'x=%zz']
  for (const body of bodies) assert.equal(parseForm(body), 'malformed', body.slice(0, 20))
  assert.equal(parseForm('a=1&'.repeat(1001)), 'too many')
})

test('a form key without a value is true, and an array with gaps is none', () => {
  assert.deepEqual(plain(parseForm('on&x=&y[]=1&y[]=2')), { on: true, x: '', y: ['1', '2'] })
  assert.deepEqual(plain(parseForm('a[1]=x&a[2]=y&b[2]=z')), { a: ['x', 'y'], b: { 2: 'z' } })
})

test('form texts take the types that the schema has', () => {
  const schema = {
    name: 'things',
    fields: [
      { count: { type: 'integer' } },
      { on: { type: 'boolean' } },
      { list: { type: 'array', elements: { type: 'number' } } },
      { inner: { type: 'record', fields: [{ size: { type: 'number' } }] } },
      { map: { type: 'map', keys: { type: 'string' }, values: { type: 'array', elements: { type: 'string' } } } },
      { parent: { type: 'foreign', reference: 'parents' } },
      { name: { type: 'string' } },
    ],
  } as const
  const form = parseForm('count=5&on=true&list=1.5&inner.size=2&map.x-a=1,2&parent=&name=7&other=8') as FormRecord
  assert.deepEqual(plain(inferForm(schema, form)), {
    count: 5,
    on: true,
    list: [1.5],
    inner: { size: 2 },
    map: { 'x-a': ['1,2'] },
    parent: null,
    name: '7',
    other: '8',
  })
  assert.deepEqual(plain(inferForm(schema, parseForm('count=x&on=maybe') as FormRecord)), { count: 'x', on: 'maybe' })
})

const part = (head: string, text: string) => `--B\r\n${head}\r\n\r\n${text}\r\n`

test('multipart fields are read, whatever characters they hold', () => {
  const text =
    part('Content-Disposition: form-data; name="a.b"', 'x\r\ny') +
    part('content-type: text/plain\r\ncontent-disposition: form-data; name="f"; filename="k.pem"', '--PEM--') +
    '--B--\r\n'
  assert.deepEqual(plain(parseMultipart(text, 'multipart/form-data; boundary="B"')), {
    a: { b: 'x\r\ny' },
    f: '--PEM--',
  })
})

test('multipart bodies that their boundary does not delimit are refused', () => {
  const good = part('content-disposition: form-data; name="a"', '1')
  const type = 'multipart/form-data; boundary=B'
  for (const text of [good, '', '--B--', part('x: y', '1') + '--B--', '--B\r\nno head end--B--']) {
    const parsed = parseMultipart(text, type)
    assert.ok(parsed === 'malformed' || Object.keys(parsed).length === 0, text)
  }
  assert.equal(parseMultipart(`${good}--B--`, 'multipart/form-data'), 'malformed')
  assert.equal(parseMultipart(good.repeat(1001) + '--B--', type), 'too many')
})
