/** Credentials and tokens of a run, made anew each time. */
import { type KeyObject, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** One credential for each consumer, and a token for each credential. */
export interface TokenSet {
  readonly algorithm: 'HS256' | 'RS256' | 'ES256' | 'EdDSA'
  /** The credentials' keys, as in the claim `iss`. */
  readonly keys: readonly string[]
  readonly tokens: readonly string[]
  /** Base64url of as many bytes as a signature has, which fit no token. */
  readonly wrongSignature: string
  /** What every credential is verified with. */
  readonly secret: string
  readonly publicKey: string | undefined
  /** Where the load is of many tokens, each sent in its turn: how many, of all `keys` alike. `tokens` then are the first few. */
  readonly distinct: number | undefined
}

const consumers = 8

const secret = randomBytes(24).toString('hex')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')

export const hs256 = tokenSet('HS256', (text) => createHmac('sha256', secret).update(text).digest(), undefined)
export const rs256 = tokenSet('RS256', (text) => sign('sha256', Buffer.from(text), rsa.privateKey), rsa.publicKey)
export const es256 = tokenSet(
  'ES256',
  (text) => sign('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
  ec.publicKey,
)

export const eddsa = tokenSet('EdDSA', (text) => sign(null, Buffer.from(text), ed.privateKey), ed.publicKey)

/** An identity provider with a hundred keys, and tokens for eight subjects that one of them has signed. */
export const published = {
  issuer: 'https://identity.bench.test/',
  tokens: Array.from({ length: consumers }, (_, index) => {
    const claims = { iss: 'https://identity.bench.test/', sub: `user-${index}`, exp: 4_000_000_000 }
    const text = `${json({ alg: 'RS256', typ: 'JWT', kid: 'key-0' })}.${json(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), rsa.privateKey).toString('base64url')}`
  }),
  jwks: (): string => {
    const others = Array.from({ length: 99 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
    const keys = [rsa, ...others].map(({ publicKey }, index) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid: `key-${index}`,
      use: 'sig',
    }))
    return JSON.stringify({ keys })
  },
}

/** HS256 tokens, `count` different ones, of as many credentials as `owners`. */
export function manyTokens(count: number, owners: number): TokenSet {
  const keys = Array.from({ length: owners }, (_, index) => manyKey(index))
  return {
    ...hs256,
    keys,
    tokens: Array.from({ length: 8 }, (_, at) => oneOfMany(at, owners, secret)),
    distinct: count,
  }
}

const manyKey = (owner: number): string => `many-key-${owner}`

/** The token at a place among many, so that load generator and gateway need not be told of each. */
export function oneOfMany(at: number, owners: number, hmacSecret: string): string {
  const text = `${json({ alg: 'HS256', typ: 'JWT' })}.${json({ iss: manyKey(at % owners), sub: 'bench', jti: at })}`
  return `${text}.${createHmac('sha256', hmacSecret).update(text).digest('base64url')}`
}

function tokenSet(
  algorithm: TokenSet['algorithm'],
  signatureOf: (text: string) => Buffer,
  publicKey: KeyObject | undefined,
): TokenSet {
  const keys = Array.from({ length: consumers }, (_, index) => `${algorithm.toLowerCase()}-key-${index}`)
  const tokens = keys.map((iss) => {
    const text = `${json({ alg: algorithm, typ: 'JWT' })}.${json({ iss, sub: 'bench', iat: 1_700_000_000 })}`
    return `${text}.${signatureOf(text).toString('base64url')}`
  })
  return {
    algorithm,
    keys,
    tokens,
    wrongSignature: signatureOf('no token').toString('base64url'),
    secret,
    publicKey: publicKey?.export({ type: 'spki', format: 'pem' }).toString(),
    distinct: undefined,
  }
}

function json(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
