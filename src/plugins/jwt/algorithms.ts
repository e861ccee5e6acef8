/**
 * The signature algorithms of JOSE that a jwt credential may name, one row each: a new algorithm is a new row.
 * Source: RFC 7518 section 3, RFC 8037 section 3.1.
 */
import { constants, createHmac, hash, sign, verify, type KeyObject } from 'node:crypto'
import { sameSecret } from '../../pdk/secrets.ts'

/**
 * Tells whether a key made a signature of a text, one byte a character. May throw where OpenSSL refuses the key and the parameters
 * together, such as an RSA key shorter than the digest.
 */
export type Verify = (signed: string, signature: Buffer) => boolean

interface Signed {
  readonly signed: string
  readonly signature: Buffer
}

/** How to make and check a signature of one algorithm. */
export interface Algorithm {
  /** What of a credential verifies: its `secret`, or its `rsa_public_key` (which holds any kind of public key). */
  readonly material: 'secret' | 'public key'
  /** Whether a key is of the kind, and the curve, that the algorithm is made for. */
  readonly suits: (key: KeyObject) => boolean
  /** The length in bytes that a signature must have, where the algorithm alone fixes it. */
  readonly signatureLength?: number
  readonly verifier: (key: KeyObject) => Verify
  readonly sign: (signed: string, key: KeyObject) => Buffer
}

/** The longest text whose HMAC is made in one go, in bytes; longer ones are rare. */
const longestMessage = 8192

/** Every algorithm by its name in a token's `alg`. `none` is none of them. */
export const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  ['HS256', hmac('sha256', 64, 32)],
  ['HS384', hmac('sha384', 128, 48)],
  ['HS512', hmac('sha512', 128, 64)],
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
  ['ES256', ecdsa('sha256', 'prime256v1', 64)],
  ['ES384', ecdsa('sha384', 'secp384r1', 96)],
  ['ES512', ecdsa('sha512', 'secp521r1', 132)],
  ['PS256', rsaPss('sha256')],
  ['PS384', rsaPss('sha384')],
  ['PS512', rsaPss('sha512')],
  ['EdDSA', eddsa()],
])

/** Whether a key made a signature; a key and a signature that do not go together at all are no exception. */
export const isSignedWith = (algorithm: Algorithm, token: Signed, key: KeyObject): boolean =>
  isSignedBy(algorithm.verifier(key), algorithm, token)

/** The same with what the algorithm gave for a key. */
export function isSignedBy(verify: Verify, { signatureLength }: Algorithm, { signed, signature }: Signed): boolean {
  if (signatureLength !== undefined && signature.length !== signatureLength) return false
  try {
    return verify(signed, signature)
  } catch {
    // OpenSSL throws where a key cannot carry the algorithm at all, such as a 512-bit RSA key with SHA-512.
    return false
  }
}

interface Pads {
  readonly inner: Buffer
  /** With room for the inner hash behind it. */
  readonly outer: Buffer
}

/**
 * HMAC as RFC 2104 puts it together of two hashes: `createHmac` makes a stream for each message, which costs twice as much as all
 * the rest. `block` and `size` are the hash's, in bytes.
 */
function hmac(name: string, block: number, size: number): Algorithm {
  const message = Buffer.alloc(block + longestMessage)
  const expected = Buffer.alloc(size)

  const padsOf = (key: KeyObject): Pads => {
    const given = key.export()
    const bytes = Buffer.concat([given.length > block ? hash(name, given, 'buffer') : given], block)
    // The inner hash will be written behind the outer pad.
    const outer = Buffer.concat([bytes.map((byte) => byte ^ 0x5c)], block + size)
    return { inner: Buffer.from(bytes.map((byte) => byte ^ 0x36)), outer }
  }

  /** Puts what a text's signature must be into `expected`. */
  const expect = (signed: string, key: KeyObject, { inner, outer }: Pads): Buffer => {
    if (signed.length > longestMessage) {
      expected.set(createHmac(name, key).update(signed, 'latin1').digest())
      return expected
    }
    message.set(inner)
    const end = block + message.write(signed, block, 'latin1')
    outer.write(hash(name, message.subarray(0, end), 'latin1'), block, 'latin1')
    expected.write(hash(name, outer, 'latin1'), 'latin1')
    return expected
  }

  return {
    material: 'secret',
    suits: (key) => key.type === 'secret',
    signatureLength: size,
    verifier(key) {
      const pads = padsOf(key)
      return (signed, signature) => sameSecret(signature, expect(signed, key, pads))
    },
    sign: (signed, key) => Buffer.from(expect(signed, key, padsOf(key))),
  }
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

/** RFC 8017 8.1.2 and 8.2.2: of the modulus' length. OpenSSL takes a shorter one, too, where the first bytes would be zeros. */
const isOfModulus = (signature: Buffer, { asymmetricKeyDetails }: KeyObject): boolean =>
  signature.length === Math.ceil((asymmetricKeyDetails?.modulusLength ?? 0) / 8)

function rsa(hash: string): Algorithm {
  const padding = constants.RSA_PKCS1_PADDING
  return {
    material: 'public key',
    suits: (key) => key.asymmetricKeyType === 'rsa',
    verifier: (key) => (signed, signature) =>
      isOfModulus(signature, key) && verify(hash, bytesOf(signed), { key, padding }, signature),
    sign: (signed, key) => sign(hash, bytesOf(signed), { key, padding }),
  }
}

/** Any salt length is accepted, as RFC 7518 3.5 asks for one and issuers in the field use another; it signs with the RFC's. */
function rsaPss(hash: string): Algorithm {
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const anySalt = constants.RSA_PSS_SALTLEN_AUTO
  const saltOfDigestLength = constants.RSA_PSS_SALTLEN_DIGEST
  return {
    material: 'public key',
    suits: (key) => key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss',
    verifier: (key) => (signed, signature) =>
      isOfModulus(signature, key) && verify(hash, bytesOf(signed), { key, padding, saltLength: anySalt }, signature),
    sign: (signed, key) => sign(hash, bytesOf(signed), { key, padding, saltLength: saltOfDigestLength }),
  }
}

/** The signature is r and s side by side, each as long as the curve's order (RFC 7518 3.4): never DER. */
function ecdsa(hash: string, namedCurve: string, signatureLength: number): Algorithm {
  const dsaEncoding = 'ieee-p1363'
  return {
    material: 'public key',
    suits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === namedCurve,
    signatureLength,
    verifier: (key) => (signed, signature) => verify(hash, bytesOf(signed), { key, dsaEncoding }, signature),
    sign: (signed, key) => sign(hash, bytesOf(signed), { key, dsaEncoding }),
  }
}

/** Ed25519 or Ed448, as the key is: RFC 8037 gives both one name. */
function eddsa(): Algorithm {
  return {
    material: 'public key',
    suits: (key) => key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448',
    verifier: (key) => (signed, signature) => verify(null, bytesOf(signed), key, signature),
    sign: (signed, key) => sign(null, bytesOf(signed), key),
  }
}
