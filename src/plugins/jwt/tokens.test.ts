import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { testEntities } from '../../pdk/testing.ts'
import { signerOf, type Signer } from './signers.ts'
import { createTokenMemory, type Remembered } from './tokens.ts'

const signerNamed = (id: string): Signer & { end(): void } => {
  const entities = testEntities()
  const consumer = entities.put('consumers', { id: `consumer-${id}`, username: id })
  const credential = entities.put('jwt_secrets', {
    id,
    key: id,
    secret: 'secret',
    consumer: { id: consumer.entity.id },
  })
  return Object.assign(signerOf(credential, consumer), { end: () => entities.delete('jwt_secrets', id) })
}
const policy = { exp: false, nbf: false, maximumExpiration: 0, leeway: 0, any: false }
const entryOf = (signer: Signer): Remembered => ({ signer, policy, exp: NaN, nbf: NaN })
const tokenNumber = (index: number) => `header.claims-${index}.`.padEnd(200, 'x')

test('what is remembered in one space is recalled there and nowhere else', () => {
  const memory = createTokenMemory()
  const [one, other] = [memory.space(), memory.space()]
  const entry = entryOf(signerNamed('a'))
  one.remember('a.b.c', entry)
  assert.equal(one.recall('a.b.c'), entry)
  assert.equal(one.recall('a.b.d'), undefined)
  assert.equal(other.recall('a.b.c'), undefined)
})

test('tokens that are known and tokens that are not are counted', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  space.remember('a.b.c', entryOf(signerNamed('a')))
  for (const token of ['a.b.c', 'a.b.c', 'a.b.d', 'x'.repeat(5000)]) space.recall(token)
  const { hits, misses } = memory.use()
  assert.deepEqual({ hits, misses }, { hits: 2, misses: 2 })
})

test('an entry whose credential ended is not recalled, and is gone', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  const [signer, lasting] = [signerNamed('a'), signerNamed('b')]
  space.remember('a.b.c', entryOf(signer))
  space.remember('d.e.f', entryOf(lasting))
  const before = memory.use().bytes
  signer.end()
  assert.equal(space.recall('a.b.c'), undefined)
  assert.ok(memory.use().bytes < before)
  assert.notEqual(space.recall('d.e.f'), undefined)
})

test('an entry whose credential ended is not recalled from the old generation either', () => {
  const memory = createTokenMemory(40_000)
  const space = memory.space()
  const signer = signerNamed('a')
  space.remember('a.b.c', entryOf(signer))
  const flood = entryOf(signerNamed('b'))
  for (let index = 0; memory.use().bytes < 21_000; index++) space.remember(tokenNumber(index), flood)
  signer.end()
  assert.equal(space.recall('a.b.c'), undefined)
})

test('however many tokens come, over however many spaces, the bytes stay below the limit', () => {
  const memory = createTokenMemory(1024 * 1024)
  const spaces = Array.from({ length: 50 }, () => memory.space())
  const signers = Array.from({ length: 100 }, (_, index) => signerNamed(String(index)))
  for (let index = 0; index < 30_000; index++) {
    spaces[index % 50]!.remember(tokenNumber(index), entryOf(signers[index % 100]!))
    assert.ok(memory.use().bytes <= memory.use().limit)
  }
  const kept = Array.from({ length: 30_000 }, (_, index) => spaces[index % 50]!.recall(tokenNumber(index))).filter(
    Boolean,
  )
  assert.ok(kept.length > 500 && kept.length < 3000, `${kept.length} kept`)
})

test('a token in use outlives a flood of others', () => {
  const memory = createTokenMemory(200_000)
  const space = memory.space()
  const signer = signerNamed('a')
  space.remember('a.b.c', entryOf(signer))
  for (let index = 0; index < 10_000; index++) {
    space.remember(tokenNumber(index), entryOf(signer))
    if (index % 50 === 0) assert.notEqual(space.recall('a.b.c'), undefined, `after ${index}`)
  }
})

test('where tokens hardly ever come twice, those that do are remembered', () => {
  const memory = createTokenMemory(200_000)
  const space = memory.space()
  const entry = entryOf(signerNamed('a'))
  const signed = (index: number) => `header.claims.${createHash('sha256').update(String(index)).digest('base64url')}`
  for (let index = 0; index < 10_000; index++) space.remember(signed(index), entry)
  space.remember(signed(20_000), entry)
  assert.equal(space.recall(signed(20_000)), undefined)
  space.remember(signed(20_000), entry)
  assert.equal(space.recall(signed(20_000)), entry)
})

test('a token that is not used makes room', () => {
  const memory = createTokenMemory(200_000)
  const space = memory.space()
  const signer = signerNamed('a')
  space.remember('a.b.c', entryOf(signer))
  for (let index = 0; index < 10_000; index++) space.remember(tokenNumber(index), entryOf(signer))
  assert.equal(space.recall('a.b.c'), undefined)
})

test('the limit may be set while tokens are remembered; at 0 none is', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  const entry = entryOf(signerNamed('a'))
  space.remember('a.b.c', entry)
  memory.configure({ bytes: 0 })
  assert.equal(space.recall('a.b.c'), undefined)
  space.remember('a.b.c', entry)
  assert.equal(space.recall('a.b.c'), undefined)
  assert.deepEqual([memory.use().bytes, memory.use().limit], [0, 0])
  memory.configure({ bytes: 1024 * 1024 })
  space.remember('a.b.c', entry)
  assert.equal(space.recall('a.b.c'), entry)
})

test('very long tokens are not remembered', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  space.remember('x'.repeat(5000), entryOf(signerNamed('a')))
  assert.equal(space.recall('x'.repeat(5000)), undefined)
  assert.equal(memory.use().bytes, 0)
})

test('remembering a token does not keep the text that it was cut from', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  const entry = entryOf(signerNamed('a'))
  const before = heapAfterCollection()
  for (let index = 0; index < 200; index++) {
    const head = Buffer.alloc(256 * 1024, 'h').toString('latin1') + tokenNumber(index)
    space.remember(head.slice(256 * 1024), entry)
  }
  assert.ok(heapAfterCollection() - before < 5 * 1024 * 1024)
  assert.notEqual(space.recall(tokenNumber(7)), undefined)
})

test('the estimate of bytes is no less than what entries really take', () => {
  const memory = createTokenMemory()
  const space = memory.space()
  const before = heapAfterCollection()
  for (let index = 0; index < 5000; index++) space.remember(tokenNumber(index), entryOf(signerNamed(String(index))))
  const real = heapAfterCollection() - before
  assert.ok(memory.use().bytes >= 0.8 * real, `${memory.use().bytes} of ${real}`)
  assert.notEqual(space.recall(tokenNumber(4999)), undefined)
})

/** The bytes in use, texts outside of V8's heap included, when all garbage is gone. */
function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
