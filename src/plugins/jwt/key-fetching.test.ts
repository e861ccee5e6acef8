import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { type Document, getDocument } from './document.ts'
import type { KeptKeys } from './kept-keys.ts'
import { issuersOf } from './issuers.ts'
import { createKeyFetching, type IssuerAddress } from './key-fetching.ts'
import { createKeySets } from './key-sets.ts'
import type { Config } from './ready.ts'
import { signToken } from './sign.ts'
import { decodeToken } from './token.ts'

const address = (rest: Partial<IssuerAddress> = {}): string =>
  JSON.stringify({ issuer: 'https://idp.test', jwks_uri: 'https://idp.test/keys', discovery_uri: null, ...rest })

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** A world in which time passes only when it is told to. */
function world(kept?: KeptKeys) {
  const asked: string[] = []
  const warned: string[] = []
  const timers: { at: number; call: () => void }[] = []
  const state = {
    now: 0,
    answer: ((): unknown => ({ keys: [] })) as (url: string) => unknown,
    maxAgeMs: undefined as number | undefined,
  }
  const fetching = createKeyFetching({
    get: (url): Promise<Document> => {
      asked.push(url)
      const value = state.answer(url)
      return value instanceof Error ? Promise.reject(value) : Promise.resolve({ value, maxAgeMs: state.maxAgeMs })
    },
    warn: (text) => void warned.push(text),
    ...(kept && { kept }),
    now: () => state.now,
    random: () => 0.5,
    after: (ms, call) => {
      const timer = { at: state.now + ms, call }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer), 1)
    },
  })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  /** Lets time pass, and what is due happen. */
  const pass = async (ms: number) => {
    const end = state.now + ms
    for (;;) {
      const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (!next) break
      timers.splice(timers.indexOf(next), 1)
      state.now = next.at
      next.call()
      await settle()
    }
    state.now = end
  }
  return { fetching, state, asked, warned, settle, pass }
}

test('keys are fetched when an issuer is followed, and again before they age', async () => {
  const { fetching, state, asked, settle, pass } = world()
  const told: string[] = []
  fetching.onChange((_, keys) => void told.push(keys))
  assert.equal(fetching.follow(address()), undefined)
  await settle()
  assert.equal(fetching.follow(address()), '[]')
  assert.equal(asked.length, 1)
  await pass(300_000)
  assert.equal(asked.length, 2)
  assert.deepEqual(told, ['[]'], 'what is the same is not told again')
  state.answer = () => ({ keys: [{ kid: 'new' }] })
  state.maxAgeMs = 1_000_000_000
  await pass(300_000)
  assert.deepEqual(told, ['[]', '[{"kid":"new"}]'])
  const before = asked.length
  await pass(2_700_000)
  assert.equal(asked.length, before, 'an issuer may ask for longer')
  await pass(400_000)
  assert.equal(asked.length, before + 1, 'but not for more than an hour')
})

test('who asks for keys takes part in what is under way, and cannot have them fetched again and again', async () => {
  const { fetching, state, asked, settle } = world()
  fetching.follow(address())
  await Promise.all(Array.from({ length: 1000 }, () => fetching.ask(address())))
  assert.equal(asked.length, 1)
  await settle()
  for (let count = 0; count < 1000; count++) await fetching.ask(address())
  const atOnce = asked.length
  assert.ok(atOnce >= 3 && atOnce <= 4, 'a change or two are met at once')
  state.now = 4_999
  await fetching.ask(address())
  assert.equal(asked.length, atOnce)
  state.now = 5_000
  await Promise.all([fetching.ask(address()), fetching.ask(address())])
  assert.equal(asked.length, atOnce + 1)
  state.now = 65_000
  for (let count = 0; count < 1000; count++) await fetching.ask(address())
  assert.equal(asked.length, atOnce + 4, 'after a minute of rest as at first')
})

test('while strangers send one made-up key name after the other, a change of keys is seen within five seconds', async () => {
  const { fetching, state, asked, settle, pass } = world()
  const sets = createKeySets(fetching)
  fetching.onChange(sets.adopt)
  const issuers = [{ issuer: 'https://idp.test', jwks_uri: 'https://idp.test/keys' }]
  const issuer = issuersOf({ issuers } as unknown as Config, sets.of)!.get('https://idp.test')!
  const isGood = async (kid: string, key: KeyPair): Promise<boolean> => {
    const text = signToken(
      { header: { alg: 'ES256', kid }, payload: { iss: 'https://idp.test' } },
      'ES256',
      key.privateKey,
    )
    const token = decodeToken(text)
    assert.ok(typeof token !== 'string')
    return typeof (await issuer.verify(token)) !== 'string'
  }
  const [old, next, strangers] = Array.from({ length: 3 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const publish = (...keys: (readonly [kid: string, key: KeyPair])[]) => {
    const published = keys.map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid }))
    state.answer = () => ({ keys: published })
  }
  publish(['old', old!])
  await settle()
  assert.ok(await isGood('old', old!))
  let made = 0
  let firstGood = -1
  for (let at = 0; at < 60_000; at += 100) {
    // Just after a fetch that a stranger caused.
    if (at === 20_100) publish(['old', old!], ['next', next!])
    await Promise.all([1, 2, 3].map(() => isGood(`made-up-${made++}`, strangers!)))
    if (at >= 20_100 && firstGood < 0 && (await isGood('next', next!))) firstGood = at
    await pass(100)
  }
  assert.ok(firstGood > 0 && firstGood - 20_100 <= 5_000, `first good after ${firstGood - 20_100} ms`)
  assert.ok(asked.length <= 5 + 60_000 / 5_000, `asked ${asked.length} times in a minute`)
})

test('an issuer too many is told of once, by its name', async () => {
  const { fetching, warned, settle } = world()
  for (let count = 0; count < 1000; count++) fetching.follow(address({ jwks_uri: `https://idp.test/${count}` }))
  await settle()
  assert.deepEqual(warned, [])
  const late = address({ issuer: 'https://late.test' })
  for (let count = 0; count < 3; count++) {
    assert.equal(fetching.follow(late), undefined)
    await fetching.ask(late)
  }
  assert.deepEqual(warned, [
    'the keys of the issuer https://late.test are not fetched, and its tokens are refused: 1000 others are followed',
  ])
})

test('while an issuer is out for an hour its keys stay, it is asked ever less, and everything resumes by itself', async () => {
  const { fetching, state, asked, warned, settle, pass } = world()
  state.answer = () => ({ keys: [{ kid: 'old' }] })
  fetching.follow(address())
  await settle()
  state.answer = () => new Error('connection refused')
  await pass(3_600_000)
  assert.equal(fetching.follow(address()), '[{"kid":"old"}]')
  assert.deepEqual(warned, [
    'cannot fetch the keys of the issuer https://idp.test: https://idp.test/keys: connection refused; those it had stay in force',
  ])
  assert.ok(asked.length > 10 && asked.length < 40, String(asked.length))
  state.answer = () => ({ keys: [{ kid: 'back' }] })
  await pass(300_000)
  assert.equal(fetching.follow(address()), '[{"kid":"back"}]')
})

test('an issuer that nobody has followed for a day is forgotten', async () => {
  const { fetching, asked, settle, pass } = world()
  fetching.follow(address())
  await settle()
  await pass(2 * 86_400_000)
  const count = asked.length
  await pass(86_400_000)
  assert.equal(asked.length, count)
  assert.equal(fetching.follow(address()), undefined)
})

test('the metadata says where the keys are, and must be the issuer’s own', async () => {
  const { fetching, state, asked, warned, settle } = world()
  const found = address({ jwks_uri: null })
  state.answer = (url) =>
    url.endsWith('openid-configuration')
      ? { issuer: 'https://idp.test', jwks_uri: 'https://keys.test/' }
      : { keys: [{ kid: 'a' }] }
  fetching.follow(found)
  await settle()
  assert.equal(fetching.follow(found), '[{"kid":"a"}]')
  assert.deepEqual(asked, ['https://idp.test/.well-known/openid-configuration', 'https://keys.test/'])
  for (const [metadata, why] of [
    [{ issuer: 'https://other.test', jwks_uri: 'https://keys.test/' }, /not the metadata of that issuer/],
    [{ issuer: 'https://idp.test' }, /it has no jwks_uri/],
    [{ issuer: 'https://idp.test', jwks_uri: 'http://keys.test/' }, /its jwks_uri is not https/],
    [[], /not the metadata of that issuer/],
  ] as const) {
    state.answer = () => metadata
    fetching.follow(address({ jwks_uri: null, discovery_uri: `https://idp.test/${warned.length}` }))
    await settle()
    assert.match(warned.at(-1) ?? '', why)
  }
})

async function serving(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

test('a document is read with its age', async (t) => {
  const url = await serving(t, (_, response) =>
    response.setHeader('Cache-Control', 'public, max-age=120').end('{"keys":[]}'),
  )
  assert.deepEqual(await getDocument(url, undefined), { value: { keys: [] }, maxAgeMs: 120_000 })
})

test('anything but a small JSON document is refused: redirections, errors, floods', async (t) => {
  const answers: Record<string, RequestListener> = {
    '/moved': (_, response) => response.writeHead(302, { Location: '/' }).end(),
    '/failing': (_, response) => response.writeHead(500).end('{}'),
    '/text': (_, response) => response.end('<html>'),
    '/flood': (_, response) => {
      response.on('error', () => undefined)
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) continue
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    },
    '/cut': (_, response) => {
      response.writeHead(200, { 'Content-Length': '100' }).write('{')
      setImmediate(() => response.destroy())
    },
  }
  const url = await serving(t, (request, response) => answers[request.url ?? '']?.(request, response))
  for (const [path, why] of [
    ['moved', /it answers 302/],
    ['failing', /it answers 500/],
    ['text', /it is no JSON/],
    ['flood', /longer than 512 KiB/],
    ['cut', /./],
  ] as const)
    await assert.rejects(getDocument(url + path, undefined), why)
})

test('keys that were kept are in force at once, while the provider is out, until others are fetched', async () => {
  const held = new Map([[address(), '[{"kid":"kept"}]']])
  const kept: KeptKeys = { load: (name) => held.get(name), save: (name, keys) => void held.set(name, keys) }
  const { fetching, state, warned, settle, pass } = world(kept)
  state.answer = () => new Error('it answers 503')
  assert.equal(fetching.follow(address()), '[{"kid":"kept"}]')
  await settle()
  assert.match(warned[0] ?? '', /those it had stay in force/)
  state.answer = () => ({ keys: [{ kid: 'new' }] })
  await pass(2000)
  assert.equal(fetching.follow(address()), '[{"kid":"new"}]')
  assert.equal(held.get(address()), '[{"kid":"new"}]')
})
