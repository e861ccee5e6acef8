/** The certificate of the `ssl` listeners: the one of the settings, or one that is made and kept under the prefix. */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as asn1 from './der.ts'
import type { Settings } from './settings.ts'

/** A certificate (the chain's others may follow) and its key, both PEM. */
export interface CertificateAndKey {
  readonly cert: string
  readonly key: string
}

const dayMs = 86_400_000
const validDays = 825
const renewDays = 30

/** Where a listener's certificate stands: the files of two settings, or under the prefix. */
export type CertificateSettings = Pick<Settings, 'prefix' | 'ssl_cert' | 'ssl_cert_key'>

/** Reads `ssl_cert` and `ssl_cert_key`, or else the own certificate, made where there is none or its time is nearly over. Throws where one cannot be read. */
export function serverCertificate(
  settings: CertificateSettings,
  now = Date.now(),
  names: { readonly cert: string; readonly key: string } = { cert: 'ssl_cert', key: 'ssl_cert_key' },
): CertificateAndKey {
  const [cert] = settings.ssl_cert
  const [key] = settings.ssl_cert_key
  if (cert === undefined || key === undefined) return ownCertificate(join(settings.prefix, 'ssl'), now)
  const pair = { cert: pemOf(names.cert, cert), key: pemOf(names.key, key) }
  const error = mismatch(pair)
  if (error) throw new Error(`${names.cert}, ${names.key}: ${error}`)
  return pair
}

/** Reads all certificates of `ssl_cert`, of different key types, or else the own one. Throws where one cannot be read. */
export function proxyCertificates(settings: CertificateSettings): CertificateAndKey[] {
  if (settings.ssl_cert.length === 0) return [serverCertificate(settings)]
  return settings.ssl_cert.map((cert, index) => {
    const key = settings.ssl_cert_key[index] ?? ''
    return serverCertificate({ ...settings, ssl_cert: [cert], ssl_cert_key: [key] })
  })
}

/** The same for the Admin API's listeners. */
export const adminCertificate = (settings: Settings): CertificateAndKey =>
  serverCertificate(
    { prefix: settings.prefix, ssl_cert: settings.admin_ssl_cert, ssl_cert_key: settings.admin_ssl_cert_key },
    Date.now(),
    { cert: 'admin_ssl_cert', key: 'admin_ssl_cert_key' },
  )

/** The same for the Status API's listeners. */
export const statusCertificate = (settings: Settings): CertificateAndKey =>
  serverCertificate(
    { prefix: settings.prefix, ssl_cert: settings.status_ssl_cert, ssl_cert_key: settings.status_ssl_cert_key },
    Date.now(),
    { cert: 'status_ssl_cert', key: 'status_ssl_cert_key' },
  )

/** The authorities that may vouch for clients of the Admin API, in PEM. Throws where one cannot be read. */
export function adminClientAuthorities({ admin_ssl_client_ca }: Settings): string[] {
  return admin_ssl_client_ca.map((value) => {
    const pem = pemOf('admin_ssl_client_ca', value)
    try {
      const { ca, subject } = new X509Certificate(pem)
      if (!ca) throw new Error(`${subject} is no authority`)
    } catch (error) {
      throw new Error(`admin_ssl_client_ca: not a usable certificate (${(error as Error).message})`, { cause: error })
    }
    return pem
  })
}

// As Kong does, so that a certificate can come in a variable: a file's path, the PEM itself, or that in base64.
function pemOf(setting: string, value: string): string {
  if (value.startsWith('-----BEGIN ')) return value
  const decoded = Buffer.from(value, 'base64').toString('latin1')
  if (decoded.startsWith('-----BEGIN ')) return decoded
  try {
    return readFileSync(value, 'utf8')
  } catch (error) {
    // The value may be a key that was meant to be PEM, so it is not shown.
    throw new Error(`${setting}: neither a readable file nor PEM (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  }
}

function mismatch({ cert, key }: CertificateAndKey): string | undefined {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
      ? undefined
      : 'the key is not that of the certificate'
  } catch (error) {
    return `not a usable certificate and key (${(error as Error).message})`
  }
}

function ownCertificate(folder: string, now: number): CertificateAndKey {
  const files = { cert: join(folder, 'gibbon-default.crt'), key: join(folder, 'gibbon-default.key') }
  const kept = readKept(files, now)
  if (kept) return kept
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const made = makeCertificate(['localhost', hostname()], now)
  writeWhole(files.key, made.key, 0o600)
  writeWhole(files.cert, made.cert, 0o644)
  return made
}

function readKept(files: CertificateAndKey, now: number): CertificateAndKey | undefined {
  if (!existsSync(files.cert) || !existsSync(files.key)) return undefined
  const pair = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') }
  if (mismatch(pair)) return undefined
  return Date.parse(new X509Certificate(pair.cert).validTo) - now > renewDays * dayMs ? pair : undefined
}

// Renamed into place, lest an interrupted start leaves half a file.
function writeWhole(file: string, text: string, mode: number): void {
  writeFileSync(`${file}.new`, text, { mode })
  chmodSync(`${file}.new`, mode)
  renameSync(`${file}.new`, file)
}

const ecdsaWithSha256 = asn1.sequence(asn1.oid('1.2.840.10045.4.3.2'))
const commonName = asn1.oid('2.5.4.3')
const subjectAltName = asn1.oid('2.5.29.17')
const basicConstraints = asn1.oid('2.5.29.19')
const keyUsage = asn1.oid('2.5.29.15')
const extendedKeyUsage = asn1.oid('2.5.29.37')
const subjectKeyIdentifier = asn1.oid('2.5.29.14')
const serverAuth = asn1.oid('1.3.6.1.5.5.7.3.1')

/** Makes a self-signed certificate (RFC 5280) with a P-256 key for the names and the loopback addresses. */
export function makeCertificate(names: readonly string[], now: number): CertificateAndKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const name = asn1.sequence(asn1.set(asn1.sequence(commonName, asn1.utf8(names[0]!))))
  // A day earlier, for clients whose clock is late.
  const validity = asn1.sequence(asn1.time(now - dayMs), asn1.time(now + validDays * dayMs))
  const tbs = asn1.sequence(
    asn1.tagged(0, asn1.integer(Buffer.from([2]))),
    asn1.integer(serialNumber()),
    ecdsaWithSha256,
    name,
    validity,
    name,
    spki,
    asn1.tagged(3, extensions(names, spki)),
  )
  const certificate = asn1.sequence(tbs, ecdsaWithSha256, asn1.bits(sign('sha256', tbs, privateKey)))
  return { cert: pem(certificate), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

// Positive, and never zero.
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

function extensions(names: readonly string[], spki: Buffer): Buffer {
  const dnsNames = [...new Set(names)].map((name) => asn1.implicit(2, Buffer.from(name, 'latin1')))
  const loopback = [Buffer.from([127, 0, 0, 1]), Buffer.concat([Buffer.alloc(15), Buffer.from([1])])]
  const addresses = loopback.map((address) => asn1.implicit(7, address))
  const keyId = createHash('sha1').update(spki).digest()
  return asn1.sequence(
    asn1.sequence(basicConstraints, asn1.isTrue(), asn1.octets(asn1.sequence())),
    asn1.sequence(keyUsage, asn1.isTrue(), asn1.octets(asn1.namedBits(0x80, 7))),
    asn1.sequence(extendedKeyUsage, asn1.octets(asn1.sequence(serverAuth))),
    asn1.sequence(subjectKeyIdentifier, asn1.octets(asn1.octets(keyId))),
    asn1.sequence(subjectAltName, asn1.octets(asn1.sequence(...dnsNames, ...addresses))),
  )
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
