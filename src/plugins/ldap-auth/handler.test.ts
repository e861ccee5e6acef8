/** The plugin against a real directory, where there is one. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { baseDn, noSlapd, startSlapd, type Slapd } from '../../../test/plugins/slapd.ts'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type TestKong } from '../../pdk/testing.ts'
import { configureTrust } from '../../pdk/trust.ts'
import { createLdapAuth, type Config } from './handler.ts'

const defaults: Omit<Config, 'ldap_port'> = {
  ldap_host: '127.0.0.1',
  ldaps: false,
  start_tls: false,
  verify_ldap_host: false,
  base_dn: baseDn,
  attribute: 'uid',
  cache_ttl: 60,
  hide_credentials: false,
  timeout: 2000,
  keepalive: 60_000,
  anonymous: null,
  header_type: 'ldap',
  realm: null,
}

const users = { alice: 'open sesame', 'o,u=x': 'comma', clé: 'pässwörd', '#hash ': 'hash', colon: 'a:b' }
const entities = testEntities()
entities.put('consumers', { id: '33333333-3333-4333-8333-333333333333', username: 'guest' })

const ldap = (text: string, scheme = 'ldap') => `${scheme} ${Buffer.from(text).toString('base64')}`

/** Sends requests through one plugin, so that it remembers. */
function sender(config: Config, clock = { now: 0 }) {
  const plugin = createLdapAuth(() => clock.now)
  const ready = plugin.prepare(config, { id: 'p', name: 'ldap-auth' })
  return async (
    ...headers: readonly (readonly [string, string])[]
  ): Promise<{ verdict: string | number; kong: TestKong; answer: Answer | undefined }> => {
    const kong = testKong({ headers }, entities)
    const answer = (await plugin.access!(kong, ready)) as Answer | undefined
    const name = new Map(kong.identity?.headers).get('X-Credential-Identifier')
    return { verdict: answer?.status ?? name ?? 'anonymous', kong, answer }
  }
}

suite('against slapd', { skip: noSlapd }, () => {
  let slapd: Slapd
  before(async () => {
    slapd = await startSlapd(users)
  })
  after(() => slapd.stop())

  const send = (config: Partial<Config>, ...headers: readonly (readonly [string, string])[]) =>
    sender({ ...defaults, ldap_port: slapd.port, ...config })(...headers)
  const authorized = async (header: string, config: Partial<Config> = {}) =>
    (await send(config, ['Authorization', header])).verdict

  const rows: readonly (readonly [name: string, header: string, verdict: string | number])[] = [
    ['a right password', ldap('alice:open sesame'), 'alice'],
    ['a scheme in any case', ldap('alice:open sesame', 'LDAP'), 'alice'],
    ['a wrong password', ldap('alice:open'), 401],
    ['a name that nobody has', ldap('bob:open sesame'), 401],
    ['an empty password, which a directory takes for nobody', ldap('alice:'), 401],
    ['an empty name', ldap(':open sesame'), 401],
    ['a name that needs escaping', ldap('o,u=x:comma'), 'o,u=x'],
    ['a name with a space at its end', ldap('#hash :hash'), '#hash '],
    ['a password with a colon', ldap('colon:a:b'), 'colon'],
    ['a name that would be another entry', ldap(`alice,${baseDn}:open sesame`), 401],
    ['another scheme', ldap('alice:open sesame', 'basic'), 401],
    ['no base64', 'ldap !!!', 401],
    ['no colon', ldap('alice'), 401],
  ]
  for (const [name, header, verdict] of rows) {
    test(`${name}: ${verdict}`, async () => {
      assert.equal(await authorized(header), verdict)
    })
  }

  test('names and passwords are UTF-8', async () => {
    assert.equal(Buffer.from(String(await authorized(ldap('clé:pässwörd'))), 'latin1').toString('utf8'), 'clé')
  })

  test('TLS is spoken from the start, or asked for', async () => {
    const good = ldap('alice:open sesame')
    assert.equal(await authorized(good, { ldaps: true, ldap_port: slapd.tlsPort }), 'alice')
    assert.equal(await authorized(good, { start_tls: true }), 'alice')
    assert.equal(await authorized(ldap('alice:x'), { start_tls: true }), 401)
  })

  test('a certificate is verified where that is asked for', async () => {
    const good = ldap('alice:open sesame')
    const verified = { ldaps: true, ldap_port: slapd.tlsPort, verify_ldap_host: true, ldap_host: 'localhost' }
    assert.equal(await authorized(good, verified), 500)
    configureTrust(slapd.certificate)
    try {
      assert.equal(await authorized(good, verified), 'alice')
      assert.equal(
        await authorized(good, { ...verified, ldaps: false, ldap_port: slapd.port, start_tls: true }),
        'alice',
      )
    } finally {
      configureTrust(undefined)
    }
  })

  test('many are asked at the same time, over connections that are used again', async () => {
    const request = sender({ ...defaults, ldap_port: slapd.port })
    const asked = Array.from({ length: 200 }, (_, at) => request(['Authorization', ldap(`alice:wrong ${at}`)]))
    const right = await request(['Authorization', ldap('alice:open sesame')])
    assert.equal(right.verdict, 'alice')
    assert.deepEqual(new Set((await Promise.all(asked)).map(({ verdict }) => verdict)), new Set([401]))
  })

  test('the second header counts where the first is not right', async () => {
    const { verdict, kong } = await send(
      { hide_credentials: true },
      ['Proxy-Authorization', ldap('alice:wrong')],
      ['Authorization', ldap('alice:open sesame')],
    )
    assert.equal(verdict, 'alice')
    assert.deepEqual([...kong.upstreamHeaders.keys()], ['proxy-authorization', 'authorization'])
  })

  test('who is refused goes on as the anonymous consumer, where there is one', async () => {
    assert.equal(await authorized(ldap('alice:wrong'), { anonymous: 'guest' }), 'anonymous')
    assert.equal(await authorized(ldap('alice:open sesame'), { anonymous: 'guest' }), 'alice')
  })

  test('the challenge names the scheme and the realm', async () => {
    const challenge = async (config: Partial<Config>) =>
      new Map((await send(config)).answer?.headers).get('WWW-Authenticate')
    assert.equal(await challenge({}), 'LDAP')
    assert.equal(await challenge({ header_type: 'basic', realm: 'r' }), 'basic realm="r"')
  })
})

/** A server that only counts connections, then answers as it is told. */
async function fakeDirectory(answer: (socket: net.Socket) => void) {
  let connections = 0
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {}).on('data', () => answer(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    connections: () => connections,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** A bind's answer to the first question, with this result. */
const answerOf = (code: number) => Buffer.from([0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, code, 4, 0, 4, 0])

test('an answer is remembered for a while, a failure is not', async () => {
  let code = 49
  const directory = await fakeDirectory((socket) => socket.write(answerOf(code)))
  const clock = { now: 1000 }
  const request = sender({ ...defaults, ldap_port: directory.port, keepalive: 0 }, clock)
  const verdict = async () => (await request(['Authorization', ldap('alice:x')])).verdict
  try {
    assert.deepEqual([await verdict(), await verdict()], [401, 401])
    assert.equal(directory.connections(), 1)
    code = 0
    clock.now += 60
    assert.deepEqual([await verdict(), await verdict()], ['alice', 'alice'])
    assert.equal(directory.connections(), 2)
    clock.now += 60
    directory.close()
    assert.equal(await verdict(), 500)
    const anonymous = sender({ ...defaults, ldap_port: directory.port, anonymous: 'guest' })
    assert.equal((await anonymous(['Authorization', ldap('alice:x')])).verdict, 500)
  } finally {
    directory.close()
  }
})

for (const [name, bytes] of [
  ['garbage', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['a message without end', Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff])],
  ['an answer to another question', Buffer.from([0x30, 12, 2, 1, 9, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0])],
  ['an answer of another kind', Buffer.from([0x30, 12, 2, 1, 1, 0x65, 7, 0x0a, 1, 0, 4, 0, 4, 0])],
  ['nothing', Buffer.alloc(0)],
] as const) {
  test(`a directory that answers ${name} lets nobody in`, async () => {
    const directory = await fakeDirectory((socket) => socket.write(bytes))
    const request = sender({ ...defaults, ldap_port: directory.port, timeout: 100 })
    try {
      const { verdict, kong } = await request(['Authorization', ldap('alice:open sesame')])
      assert.equal(verdict, 500)
      assert.match(kong.logged[0]?.message ?? '', /cannot be asked/)
      assert.doesNotMatch(JSON.stringify(kong.logged), /sesame/)
    } finally {
      directory.close()
    }
  })
}
