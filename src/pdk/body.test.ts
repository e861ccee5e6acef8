import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queryWithout, readBody } from './body.ts'

const form = 'application/x-www-form-urlencoded'
const multipart = 'multipart/form-data; boundary="x y"'
const parts = (...fields: readonly (readonly [name: string, value: string])[]) =>
  [
    ...fields.map(([name, value]) => `--x y\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`),
    '--x y--\r\n',
  ].join('')

const read = (text: string, type: string | undefined) => readBody(Buffer.from(text), type)

const values: readonly (readonly [type: string, body: string, name: string, value: unknown])[] = [
  [form, 'a=1&b=x+y%21', 'b', 'x y!'],
  [form, 'a&b=2', 'a', true],
  [form, 'a=1&a=2', 'a', ['1', '2']],
  [form, 'a=1', 'constructor', undefined],
  [form, 'n=kä', 'n', 'kä'],
  [`${form.toUpperCase()}; charset=utf-8`, 'a=1', 'a', '1'],
  ['application/json', '{"a":{"b":1}}', 'a', { b: 1 }],
  ['application/json; charset=utf-8', '{"a":"x"}', 'a', 'x'],
  ['application/json', '{}', 'toString', undefined],
  ['application/json', '[1]', '0', 1],
  [multipart, parts(['a', '1'], ['b', 'two\r\nlines']), 'b', 'two\r\nlines'],
  [multipart, parts(['a', '1'], ['a', '2']), 'a', ['1', '2']],
  [multipart, parts(), 'a', undefined],
  [multipart, `preamble\r\n${parts(['a', '1'])}`, 'a', '1'],
]

for (const [type, body, name, value] of values) {
  test(`${name} of ${JSON.stringify(body)} as ${type} is ${JSON.stringify(value)}`, () => {
    assert.deepEqual(read(body, type)?.get(name), value)
  })
}

const nothing: readonly (readonly [type: string | undefined, body: string])[] = [
  [undefined, 'a=1'],
  ['text/plain', 'a=1'],
  ['application/json', '{"a"'],
  ['application/json', '1'],
  ['application/json', 'null'],
  ['multipart/form-data', parts(['a', '1'])],
  [multipart, 'a=1'],
  [multipart, '--x y\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut off'],
]

for (const [type, body] of nothing) {
  test(`${JSON.stringify(body)} as ${type} has no fields`, () => {
    assert.equal(read(body, type), undefined)
  })
}

const removals: readonly (readonly [type: string, body: string, rest: string])[] = [
  [form, 'a=1&key=x&b=%20&key&k%65y=y', 'a=1&b=%20'],
  [
    'application/json',
    '{"key":"x","n":12345678901234567890,"f":1.0,"z":1e400}',
    '{"n":12345678901234567890,"f":1.0,"z":1e400}',
  ],
  ['application/json', '{"__proto__":{"a":1},"key":1}', '{"__proto__":{"a":1}}'],
  [multipart, parts(['a', '1'], ['key', 'x'], ['b', '2']), parts(['a', '1'], ['b', '2'])],
  [multipart, parts(['key', 'x'], ['key', 'y']), parts()],
]

for (const [type, body, rest] of removals) {
  test(`without its key, ${JSON.stringify(body)} as ${type} is ${JSON.stringify(rest)}`, () => {
    assert.equal(String(read(body, type)?.without('key')), rest)
  })
}

const queries: Readonly<Record<string, string>> = {
  'b=2&key=x&a=1': 'b=2&a=1',
  'a=%31&k%65y=x&key': 'a=1',
  'flag&key=x&=v&a=b=c': 'flag=&=v&a=b%3Dc',
  'a=b+c%20d&&s=x/y,z~*-._': 'a=b%20c%20d&s=x%2Fy%2Cz%7E*-._',
  'a=100%&b=%zz&c=%c3%a9\u00ff%00': 'a=100%25&b=%25zz&c=%C3%A9%FF%00',
  key: '',
}

for (const [query, rest] of Object.entries(queries)) {
  test(`without its key, the query ${JSON.stringify(query)} is ${JSON.stringify(rest)}`, () => {
    assert.equal(queryWithout(query, 'key'), rest)
  })
}

test('a form is read up to a hundred fields', () => {
  const fields = Array.from({ length: 101 }, (_, at) => `f${at}=1`)
  const body = read(fields.join('&'), form)
  assert.deepEqual([body?.get('f99'), body?.get('f100')], ['1', undefined])
})
