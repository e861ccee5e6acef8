/**
 * What the jwt plugin alone costs a request, in nanoseconds: for a token that is remembered, for one that is verified, and
 * for two kinds of bad ones; and what the memory of tokens alone does. Run it with `node bench/jwt.ts`.
 *
 * The request gives its header as a text cut from the bytes of a head, new for every request as in the gateway; that costs
 * what the first line says, and is part of the other figures.
 */
import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { AccessKong } from '../src/pdk/kong.ts'
import { testEntities, testKong } from '../src/pdk/testing.ts'
import { createJwt } from '../src/plugins/jwt/handler.ts'
import type { Config } from '../src/plugins/jwt/ready.ts'
import { signToken } from '../src/plugins/jwt/sign.ts'
import { signerOf } from '../src/plugins/jwt/signers.ts'
import { createTokenMemory, type TokenMemory } from '../src/plugins/jwt/tokens.ts'

interface Pair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const secret = createSecretKey(Buffer.from('C50k0bcahDhLNhLKSUBSR1OMiFGzNZ7X'))
const pairs: Readonly<Record<string, Pair>> = {
  HS256: { privateKey: secret, publicKey: secret },
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  EdDSA: generateKeyPairSync('ed25519'),
}

const config: Config = {
  uri_param_names: ['jwt'],
  cookie_names: [],
  header_names: ['authorization'],
  key_claim_name: 'iss',
  secret_is_base64: false,
  claims_to_verify: ['exp'],
  maximum_expiration: 0,
  anonymous: null,
  run_on_preflight: true,
  realm: null,
}

const differentTokens = 1000
const rounds = 9

const entities = testEntities()
entities.put('consumers', { id: 'consumer', username: 'alice', custom_id: null })
for (const [alg, { publicKey }] of Object.entries(pairs)) {
  const rsa_public_key = publicKey.type === 'public' ? publicKey.export({ type: 'spki', format: 'pem' }) : null
  const owner = { id: 'consumer' }
  const text = secret.export().toString()
  entities.put('jwt_secrets', { id: alg, key: alg, consumer: owner, algorithm: alg, secret: text, rsa_public_key })
}

const before = 'GET / HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: '
const start = before.length
const behind = '\r\nAccept: */*\r\n\r\n'

/** Heads of requests with tokens that differ in one claim. */
function headsOf(
  alg: string,
  iss: string,
  key: KeyObject,
  spoil: (token: string) => string = (token) => token,
): Buffer[] {
  return Array.from({ length: differentTokens }, (_, index) => {
    const payload = { iss, exp: 4_000_000_000, sub: `user-${index}`, aud: 'https://api.example.com' }
    const token = signToken({ header: { alg, typ: 'JWT' }, payload }, alg, key)
    return Buffer.from(`${before}Bearer ${spoil(token)}${behind}`, 'latin1')
  })
}

const anotherSignature = (token: string): string => `${token.slice(0, -22)}${'A'.repeat(22)}`

let head: Buffer = Buffer.alloc(0)
const double = testKong({}, entities)
const kong: AccessKong = {
  ...double,
  request: {
    ...double.request,
    get_raw_query: () => '',
    get_header: () => head.toString('latin1', start, head.length - behind.length),
  },
  client: { ...double.client, authenticate: () => {} },
}

const remembering = createJwt({ memory: createTokenMemory() })
const forgetful = createJwt({ memory: createTokenMemory(0) })

/** The least of several rounds, since whatever else the machine does only adds to it. */
function nanoseconds(heads: readonly Buffer[], requests: number, visit: () => void): number {
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    const began = process.hrtime.bigint()
    for (let index = 0; index < requests; index++) {
      head = heads[index % heads.length]!
      visit()
    }
    best = Math.min(best, Number(process.hrtime.bigint() - began) / requests)
  }
  return best
}

function row(name: string, ...cells: readonly (number | string)[]): void {
  const texts = cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(0) : cell).padStart(15))
  process.stdout.write(`${name.padEnd(8)}${texts.join('')}\n`)
}

const hs256Heads = headsOf('HS256', 'HS256', secret)
process.stdout.write(
  `the header's text alone: ${nanoseconds(hs256Heads, 100_000, () => kong.request.get_header('authorization')).toFixed(0)} ns\n\n`,
)
row('ns', 'remembered', 'verified', 'bad signature', 'unknown key')
for (const [alg, { privateKey }] of Object.entries(pairs)) {
  const good = headsOf(alg, alg, privateKey)
  const remembers = remembering.prepare(config, { id: alg, name: 'jwt' })
  const forgets = forgetful.prepare(config, { id: alg, name: 'jwt' })
  const lets = (plugin: typeof remembering, ready: typeof remembers, isIn: boolean) => () => {
    if ((plugin.access!(kong, ready) === undefined) !== isIn) throw new Error(`${alg}: the wrong answer`)
  }
  row(
    alg,
    nanoseconds(good, 100_000, lets(remembering, remembers, true)),
    nanoseconds(good, 1000, lets(forgetful, forgets, true)),
    nanoseconds(headsOf(alg, alg, privateKey, anotherSignature), 1000, lets(remembering, remembers, false)),
    nanoseconds(headsOf(alg, 'nobody', privateKey), 1000, lets(remembering, remembers, false)),
  )
}

/** More tokens than there is room for: each is looked for in vain and takes the place of another. */
const smallMemory = 100_000

const signer = signerOf(entities.by('jwt_secrets', 'key', 'HS256')!, entities.get('consumers', 'consumer')!)
const tokenOf = () => kong.request.get_header('authorization')!.slice('Bearer '.length)

const untimed = { exp: false, nbf: false, maximumExpiration: 0, leeway: 0, any: false }

function memoryRow(name: string, memory: TokenMemory, isKnown: boolean): void {
  const space = memory.space()
  const remember = () => space.remember(tokenOf(), { signer, policy: untimed, exp: NaN, nbf: NaN })
  if (isKnown) nanoseconds(hs256Heads, differentTokens, remember)
  const recall = () => {
    const entry = space.recall(tokenOf())
    // In a flood some that come again are found.
    if (isKnown && entry === undefined) throw new Error(`${name}: the wrong answer`)
    if (!isKnown && memory.use().limit > 0) remember()
  }
  row(name, nanoseconds(hs256Heads, 100_000, recall))
}

process.stdout.write("\nthe memory of tokens alone, with the header's text\n")
memoryRow('hit', createTokenMemory(), true)
memoryRow('miss', createTokenMemory(0), false)
memoryRow('flood', createTokenMemory(smallMemory), false)
