import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { errorShape, inShape, shapeError, type ShapeOptions } from './error-shape.ts'
import type { Answer } from './kong.ts'

const refusal = (body: string, more: Partial<Answer> = {}): Answer => ({
  status: 401,
  headers: [
    ['Content-Type', 'application/json; charset=utf-8'],
    ['WWW-Authenticate', 'Bearer'],
  ],
  body,
  ...more,
})

const shaped = (options: ShapeOptions, answer: Answer) => inShape(answer, errorShape(options), 'id-1')

test('problem details say what the body said, and keep the other headers', () => {
  assert.deepEqual(shaped({ format: 'problem' }, refusal('{"message":"No \\"key\\""}')), {
    status: 401,
    headers: [
      ['Content-Type', 'application/problem+json'],
      ['WWW-Authenticate', 'Bearer'],
    ],
    body: '{"type":"about:blank","title":"Unauthorized","status":401,"detail":"No \\"key\\"","request_id":"id-1"}',
  })
  const { body } = shaped({ format: 'problem' }, refusal('{"exp":"token expired","nbf":"must be a number"}'))
  assert.equal(JSON.parse(String(body)).detail, 'exp: token expired; nbf: must be a number')
})

test('what is no refusal, or has a form that clients read, stays as it is', () => {
  for (const answer of [
    refusal('{"message":"fine"}', { status: 200 }),
    refusal('{"error":"invalid_client","error_description":"no"}'),
    refusal('not JSON'),
    refusal('{"message":5}'),
    refusal('{}'),
  ])
    assert.equal(shaped({ format: 'problem' }, answer), answer)
})

test('a template is filled in, escaped by its content type', () => {
  const template = '{"error": {"code": {{status}}, "text": "{{ message }}", "id": "{{request_id}}", "t": "{{title}}"}}'
  const asJson = shaped({ format: 'template', template }, refusal('{"message":"a \\"b\\""}'))
  assert.deepEqual(JSON.parse(String(asJson.body)), {
    error: { code: 401, text: 'a "b"', id: 'id-1', t: 'Unauthorized' },
  })
  const html: ShapeOptions = { format: 'template', template: '<p>{{message}}</p>', contentType: 'text/html' }
  assert.equal(shaped(html, refusal('{"message":"<script>"}')).body, '<p>&#60;script&#62;</p>')
})

test('whatever the message, a JSON template gives that message', () => {
  const template = '{"text":"{{message}}"}'
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (message) => {
      const { body } = shaped({ format: 'template', template }, refusal(JSON.stringify({ message })))
      assert.deepEqual(JSON.parse(String(body)), { text: message })
    }),
  )
})

test('what cannot be meant is told', () => {
  assert.equal(shapeError({ format: 'problem' }), undefined)
  assert.match(shapeError({ format: 'problem', template: 'x' }) ?? '', /only where the format is template/)
  assert.match(shapeError({ format: 'template' }) ?? '', /needs a template/)
  assert.match(shapeError({ format: 'template', template: '{"a":"{{mesage}}"}' }) ?? '', /\{\{mesage\}\}; there are/)
  assert.match(shapeError({ format: 'template', template: '{"a":{{message}}}' }) ?? '', /no JSON/)
  assert.equal(shapeError({ format: 'template', template: '{{message}}', contentType: 'text/plain' }), undefined)
  assert.match(shapeError({ format: 'template', template: '{}', contentType: 'a\r\nb' }) ?? '', /content type/)
})
