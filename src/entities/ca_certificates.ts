import { X509Certificate, createHash } from 'node:crypto'
import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid } from '../schema/typedefs.ts'
import { certificateError } from './certificates.ts'

/** The certificate of an authority that others are verified with. */
export const ca_certificates = {
  name: 'ca_certificates',
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    {
      cert: {
        type: 'string',
        required: true,
        description: "The authority's certificate in PEM.",
        $check: certificateError,
      },
    },
    {
      cert_digest: {
        type: 'string',
        unique: true,
        description: 'SHA-256 of the certificate in hex, set by the gateway.',
      },
    },
    { tags },
  ],
  entity_checks: [{ custom_entity_check: { field_sources: ['cert'], $check: authorityError } }],
  $derive: (entity) => ({
    cert_digest: createHash('sha256')
      .update(new X509Certificate(String(entity['cert'])).raw)
      .digest('hex'),
  }),
} as const satisfies Schema

const begin = '-----BEGIN CERTIFICATE-----'

function authorityError(entity: Readonly<Record<string, unknown>>, now: number): string | undefined {
  const pem = String(entity['cert'])
  if (pem.split(begin).length > 2) return 'please submit only one certificate at a time'
  const certificate = new X509Certificate(pem)
  if (Date.parse(certificate.validTo) / 1000 < now) return 'certificate expired, "Not After" time is in the past'
  return certificate.ca
    ? undefined
    : 'certificate does not appear to be a CA because it is missing the "CA" basic constraint'
}
