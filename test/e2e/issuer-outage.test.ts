/** An identity provider that nobody here wrote is out for an hour: its clock, and the gateway's, are moved on. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Answer } from '../../src/pdk/kong.ts'
import { testEntities, testKong } from '../../src/pdk/testing.ts'
import { getDocument } from '../../src/plugins/jwt/document.ts'
import { createJwt } from '../../src/plugins/jwt/handler.ts'
import { createKeyFetching } from '../../src/plugins/jwt/key-fetching.ts'
import { adoptKeys, configureKeySource } from '../../src/plugins/jwt/key-sets.ts'
import type { Config } from '../../src/plugins/jwt/ready.ts'
import { schema } from '../../src/plugins/jwt/schema.ts'
import { createTokenMemory } from '../../src/plugins/jwt/tokens.ts'
import { checkInsert } from '../../src/schema/check.ts'
import { keyNamed, newTokenOf, providerOf } from '../identity-provider.ts'

const hourMs = 3_600_000
const unavailable: RequestListener = (_, response) => response.writeHead(503).end()

test('for as long as its keys cannot be had, tokens of a real identity provider are let in, and its new keys when they can', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  let serve: RequestListener = unavailable
  let asked = 0
  const idp = createServer((request, response) => {
    if (request.method === 'GET') asked++
    serve(request, response)
  })
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    idp.closeAllConnections()
    idp.close()
  })
  const issuer = `http://127.0.0.1:${(idp.address() as AddressInfo).port}`

  const timers: { readonly at: number; readonly call: () => void }[] = []
  const underWay = new Set<Promise<unknown>>()
  const fetching = createKeyFetching({
    get: (url) => {
      const document = getDocument(url, undefined).finally(() => underWay.delete(document))
      underWay.add(document)
      return document
    },
    warn: () => undefined,
    after: (ms, call) => {
      const timer = { at: Date.now() + ms, call }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer), 1)
    },
  })
  configureKeySource(fetching)
  fetching.onChange(adoptKeys)
  /** Moves the clock on, and lets happen what is due meanwhile. */
  const pass = async (ms: number) => {
    const end = Date.now() + ms
    for (;;) {
      const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (!next) break
      timers.splice(timers.indexOf(next), 1)
      t.mock.timers.setTime(Math.ceil(next.at))
      next.call()
      do await new Promise((resolve) => setImmediate(resolve))
      while (underWay.size > 0)
    }
    t.mock.timers.setTime(end)
  }

  const checked = checkInsert(schema, { config: { issuers: [{ issuer }], consumer_optional: true } })
  assert.ok(checked.ok, JSON.stringify(checked))
  const jwt = createJwt({ memory: createTokenMemory() })
  const ready = jwt.prepare(checked.value['config'] as Config, { id: 'plugin', name: 'jwt' })
  const entities = testEntities()
  const statusOf = async (token: string): Promise<number> => {
    const kong = testKong({ headers: [['Authorization', `Bearer ${token}`]] }, entities)
    const answer = (await jwt.access!(kong, ready)) as Answer | undefined
    return answer?.status ?? 200
  }

  const [first, second] = [keyNamed('first'), keyNamed('second')]
  const ttl = (25 * hourMs) / 1000
  serve = providerOf(issuer, { keys: [first], ttl })
  const [remembered, kept] = [await newTokenOf(issuer), await newTokenOf(issuer)]
  assert.equal(await statusOf(remembered), 200)

  serve = unavailable
  const before = asked
  await pass(hourMs)
  assert.ok(asked - before > 5 && asked - before < 40, `asked ${asked - before} times in an hour`)
  // One that was verified before, and one that has to be verified with the keys of an hour ago.
  assert.deepEqual([await statusOf(remembered), await statusOf(kept)], [200, 200])

  serve = providerOf(issuer, { keys: [second], ttl })
  const fresh = await newTokenOf(issuer)
  await pass(hourMs / 10)
  assert.deepEqual([await statusOf(fresh), await statusOf(kept)], [200, 401], 'the keys that there are now')
})
