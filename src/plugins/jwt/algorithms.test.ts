import assert from 'node:assert/strict'
import { constants, createPublicKey, createSecretKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { algorithms } from './algorithms.ts'

const data = 'what is signed'
const rsaPair = (modulusLength: number): Pair => generateKeyPairSync('rsa', { modulusLength })
const ecPair = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve })
const rsa: Pair = rsaPair(2048)
const secret = createSecretKey(Buffer.from('a secret'))
const shared = { privateKey: secret, publicKey: secret }
const ed25519 = generateKeyPairSync('ed25519')
const ed448 = generateKeyPairSync('ed448')

interface Pair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const pairs: readonly (readonly [alg: string, kind: string, pair: Pair])[] = [
  ['HS256', 'secret', shared],
  ['HS384', 'secret', shared],
  ['HS512', 'secret', shared],
  ['RS256', 'rsa', rsa],
  ['RS384', 'rsa', rsa],
  ['RS512', 'rsa', rsa],
  ['PS256', 'rsa', rsa],
  ['PS384', 'rsa', rsa],
  ['PS512', 'rsa', rsa],
  ['ES256', 'P-256', ecPair('prime256v1')],
  ['ES384', 'P-384', ecPair('secp384r1')],
  ['ES512', 'P-521', ecPair('secp521r1')],
  ['EdDSA', 'ed25519', ed25519],
  ['EdDSA', 'ed448', ed448],
]

test('there are thirteen algorithms, and none is none of them', () => {
  assert.equal(algorithms.size, 13)
  for (const name of ['none', 'None', 'NONE', '', 'HS1', 'ES256K', 'toString'])
    assert.equal(algorithms.has(name), false)
})

for (const [alg, kind, { privateKey, publicKey }] of pairs) {
  const algorithm = algorithms.get(alg)!

  test(`${alg} with a key of kind ${kind} verifies what it signed, and nothing else`, () => {
    const signature = algorithm.sign(data, privateKey)
    assert.equal(algorithm.verifier(publicKey)(data, signature), true)
    assert.equal(algorithm.verifier(publicKey)('what was signed', signature), false)
    assert.equal(algorithm.verifier(publicKey)(data, signature.subarray(1)), false)
    assert.equal(algorithm.verifier(publicKey)(data, Buffer.concat([signature, Buffer.of(0)])), false)
    assert.equal(algorithm.verifier(publicKey)(data, Buffer.alloc(0)), false)
    const flipped = Buffer.from(signature)
    flipped[flipped.length >> 1]! ^= 1
    assert.equal(algorithm.verifier(publicKey)(data, flipped), false)
  })

  test(`${alg} takes no key but its own kind, such as ${kind}`, () => {
    for (const [, otherKind, other] of pairs) {
      const same = otherKind === kind || (alg === 'EdDSA' && otherKind.startsWith('ed'))
      assert.equal(algorithm.suits(other.publicKey), same, otherKind)
    }
  })
}

test('ES signatures of zeros or of numbers beyond the order of the curve are wrong', () => {
  for (const [alg, , { publicKey }] of pairs.filter(([alg]) => alg.startsWith('ES'))) {
    const algorithm = algorithms.get(alg)!
    const length = algorithm.signatureLength!
    for (const byte of [0x00, 0x01, 0xff]) {
      assert.equal(algorithm.verifier(publicKey)(data, Buffer.alloc(length, byte)), false)
    }
  }
})

test('PS signatures are right with any length of salt and any size of RSA key', () => {
  const { RSA_PKCS1_PSS_PADDING: padding } = constants
  for (const modulusLength of [1024, 2048, 3072, 4096]) {
    const { privateKey, publicKey }: Pair = modulusLength === 2048 ? rsa : rsaPair(modulusLength)
    for (const saltLength of [0, 20, 32, 48, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
      const signature = sign('sha256', Buffer.from(data), { key: privateKey, padding, saltLength })
      assert.equal(
        algorithms.get('PS256')!.verifier(publicKey)(data, signature),
        true,
        `${modulusLength} ${saltLength}`,
      )
    }
  }
})

test('an RSA signature without its first byte is none, also where that is zero', () => {
  for (const alg of ['RS256', 'PS256']) {
    const algorithm = algorithms.get(alg)!
    let text = ''
    let signature: Buffer
    do signature = algorithm.sign((text += 'a'), rsa.privateKey)
    while (signature[0] !== 0)
    assert.equal(algorithm.verifier(rsa.publicKey)(text, signature), true)
    assert.equal(algorithm.verifier(rsa.publicKey)(text, signature.subarray(1)), false, alg)
  }
})

test('PS takes a key that is only for PSS, RS does not', () => {
  const { publicKey } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  assert.equal(algorithms.get('PS256')!.suits(publicKey), true)
  assert.equal(algorithms.get('RS256')!.suits(publicKey), false)
})

test('an RS signature is no PS signature, nor the other way round', () => {
  const rs = algorithms.get('RS256')!
  const ps = algorithms.get('PS256')!
  assert.equal(ps.verifier(rsa.publicKey)(data, rs.sign(data, rsa.privateKey)), false)
  assert.equal(rs.verifier(rsa.publicKey)(data, ps.sign(data, rsa.privateKey)), false)
})

test('the signatures of RFC 7515 A.1 and RFC 8037 A.4 are right', () => {
  const hmacKey = Buffer.from(
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'base64url',
  )
  const hmacSigned =
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const hmacSignature = Buffer.from('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'base64url')
  assert.equal(algorithms.get('HS256')!.verifier(createSecretKey(hmacKey))(hmacSigned, hmacSignature), true)

  const edKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    format: 'jwk',
  })
  const edSigned = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'
  const edSignature = Buffer.from(
    'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    'base64url',
  )
  assert.equal(algorithms.get('EdDSA')!.verifier(edKey)(edSigned, edSignature), true)
})
