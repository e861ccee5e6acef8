/** Certificates for tests: an authority, what it signs, and what they sign in turn. */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import * as asn1 from '../../src/config/der.ts'

export interface Issued {
  readonly cert: string
  readonly key: string
  readonly name: string
  readonly privateKey: KeyObject
  readonly spki: Buffer
}

const ecdsaWithSha256 = asn1.sequence(asn1.oid('1.2.840.10045.4.3.2'))
const dayMs = 86_400_000

/** A certificate for a name; its own issuer where none is given, an authority where it `signs`. */
export function issue(name: string, { by, signs = false }: { by?: Issued; signs?: boolean } = {}): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const tbs = asn1.sequence(
    asn1.tagged(0, asn1.integer(Buffer.from([2]))),
    asn1.integer(Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    ecdsaWithSha256,
    distinguished(by?.name ?? name),
    asn1.sequence(asn1.time(Date.now() - dayMs), asn1.time(Date.now() + 30 * dayMs)),
    distinguished(name),
    spki,
    asn1.tagged(3, extensions(name, spki, by?.spki ?? spki, signs)),
  )
  const signature = asn1.bits(sign('sha256', tbs, by?.privateKey ?? privateKey))
  const base64 = asn1.sequence(tbs, ecdsaWithSha256, signature).toString('base64')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    name,
    privateKey,
    spki,
  }
}

const distinguished = (name: string) => asn1.sequence(asn1.set(asn1.sequence(asn1.oid('2.5.4.3'), asn1.utf8(name))))

const keyId = (spki: Buffer) => createHash('sha1').update(spki).digest()

function extensions(name: string, spki: Buffer, issuer: Buffer, signs: boolean): Buffer {
  return asn1.sequence(
    asn1.sequence(
      asn1.oid('2.5.29.19'),
      asn1.isTrue(),
      asn1.octets(signs ? asn1.sequence(asn1.isTrue()) : asn1.sequence()),
    ),
    asn1.sequence(
      asn1.oid('2.5.29.15'),
      asn1.isTrue(),
      asn1.octets(asn1.namedBits(signs ? 0x04 : 0x80, signs ? 2 : 7)),
    ),
    asn1.sequence(asn1.oid('2.5.29.14'), asn1.octets(asn1.octets(keyId(spki)))),
    asn1.sequence(asn1.oid('2.5.29.35'), asn1.octets(asn1.sequence(asn1.implicit(0, keyId(issuer))))),
    asn1.sequence(asn1.oid('2.5.29.17'), asn1.octets(asn1.sequence(asn1.implicit(2, Buffer.from(name, 'latin1'))))),
  )
}
