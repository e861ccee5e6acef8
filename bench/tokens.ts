/** Credentials and tokens of a run, made anew each time. */
import { type KeyObject, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** One credential for each consumer, and a token for each credential. */
export interface TokenSet {
  readonly algorithm: 'HS256' | 'RS256' | 'ES256'
  /** The credentials' keys, as in the claim `iss`. */
  readonly keys: readonly string[]
  readonly tokens: readonly string[]
  /** Base64url of as many bytes as a signature has, which fit no token. */
  readonly wrongSignature: string
  /** What every credential is verified with. */
  readonly secret: string
  readonly publicKey: string | undefined
}

const consumers = 8

const secret = randomBytes(24).toString('hex')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })

export const hs256 = tokenSet('HS256', (text) => createHmac('sha256', secret).update(text).digest(), undefined)
export const rs256 = tokenSet('RS256', (text) => sign('sha256', Buffer.from(text), rsa.privateKey), rsa.publicKey)
export const es256 = tokenSet(
  'ES256',
  (text) => sign('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
  ec.publicKey,
)

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
  }
}

function json(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
