import { type KeyObject, X509Certificate, createPrivateKey } from 'node:crypto'
import type { Field, Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid, wildcard_host } from '../schema/typedefs.ts'

const cert = {
  type: 'string',
  referenceable: true,
  description: 'A certificate in PEM.',
  $check: certificateError,
} as const satisfies Field

const key = {
  type: 'string',
  referenceable: true,
  encrypted: true,
  description: "The certificate's private key in PEM.",
  $check: (pem: string) => textOf('invalid key: pkey.new:load_key', () => createPrivateKey(pem)),
} as const satisfies Field

/** A certificate with its key, and where wanted a second pair of another type. */
export const certificates = {
  name: 'certificates',
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { cert: { ...cert, required: true } },
    { key: { ...key, required: true } },
    { cert_alt: { ...cert, required: false } },
    { key_alt: { ...key, required: false } },
    { tags },
    {
      snis: {
        type: 'array',
        elements: wildcard_host,
        required: false,
        transient: true,
        description: 'Server names to make for it.',
      },
    },
  ],
  entity_checks: [
    { mutually_required: ['cert_alt', 'key_alt'] },
    {
      custom_entity_check: {
        field_sources: ['cert', 'key'],
        $check: (entity) => mismatch(entity['cert'], entity['key'], 'certificate does not match key'),
      },
    },
    {
      custom_entity_check: {
        field_sources: ['cert_alt', 'key_alt'],
        $check: (entity) =>
          mismatch(entity['cert_alt'], entity['key_alt'], 'alternative certificate does not match key'),
      },
    },
    {
      custom_entity_check: {
        field_sources: ['cert', 'cert_alt'],
        $check: (entity) => sameType(entity['cert'], entity['cert_alt']),
      },
    },
  ],
} as const satisfies Schema

/** What is wrong with a certificate in PEM. */
export function certificateError(pem: string): string | undefined {
  return textOf('invalid certificate: x509.new', () => new X509Certificate(pem))
}

/** The reason why parsing failed, behind the words that say what failed. */
function textOf(failure: string, parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return `${failure}: ${error instanceof Error ? error.message : String(error)}`
  }
}

function mismatch(certificate: unknown, privateKey: unknown, text: string): string | undefined {
  if (typeof certificate !== 'string' || typeof privateKey !== 'string') return undefined
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey)) ? undefined : text
}

/** Two certificates of one type could not both be of use: a client takes the one whose type it knows. */
function sameType(one: unknown, other: unknown): string | undefined {
  if (typeof one !== 'string' || typeof other !== 'string' || typeOf(one) !== typeOf(other)) return undefined
  return 'certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), the provided certificates were both of the same type'
}

const typeOf = (pem: string): KeyObject['asymmetricKeyType'] => new X509Certificate(pem).publicKey.asymmetricKeyType
