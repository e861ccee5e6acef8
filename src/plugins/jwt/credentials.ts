import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import { asymmetric, url } from './extension-schema.ts'
import { auto_timestamp_s, tags, uuid } from '../../schema/typedefs.ts'

/** A consumer's key for signed tokens. */
export const jwt_secrets = {
  name: 'jwt_secrets',
  endpoint_key: 'key',
  admin_api_name: 'jwts',
  admin_api_nested_name: 'jwt',
  cache_key: ['key'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    {
      consumer: {
        type: 'foreign',
        reference: 'consumers',
        required: true,
        on_delete: 'cascade',
        description: 'The consumer that it identifies.',
      },
    },
    {
      key: {
        type: 'string',
        required: false,
        unique: true,
        auto: true,
        description: 'What tokens name it by; made when none is given.',
      },
    },
    {
      secret: {
        type: 'string',
        auto: true,
        $secret: true,
        description: 'The key of HS256, HS384 and HS512; made when none is given.',
      },
    },
    {
      rsa_public_key: {
        type: 'string',
        $secret: isPrivateKey,
        description: 'The public key of the other algorithms, in PEM.',
      },
    },
    {
      algorithm: {
        type: 'string',
        default: 'HS256',
        one_of: ['HS256', 'HS384', 'HS512', ...asymmetric],
        description: 'How tokens are signed.',
      },
    },
    {
      jwks_uri: {
        ...url,
        $extension: true,
        description: 'Where the keys of the issuer are that the credential stands for, in place of one of its own.',
      },
    },
    {
      discovery_uri: {
        ...url,
        $extension: true,
        description: "Where that issuer's metadata is; the credential's key is then the issuer's name.",
      },
    },
    { tags },
  ],
  entity_checks: [
    {
      conditional: {
        if_field: 'algorithm',
        if_match: {
          match_any: { patterns: ['^RS256$', '^RS384$', '^RS512$', '^PS256$', '^PS384$', '^PS512$', '^EdDSA$'] },
        },
        then_field: 'rsa_public_key',
        then_match: { required: true, $check: keyError },
      },
    },
  ],
} as const satisfies Schema

function isPrivateKey(pem: string): boolean {
  return pem.includes('PRIVATE KEY-----')
}

/** Any key in PEM is taken, a private one too, whose public half then counts; a certificate is not. */
function keyError(pem: string): string | undefined {
  return isKey(pem) ? undefined : 'invalid key'
}

function isKey(pem: string): boolean {
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return false
  return parses(() => createPublicKey(pem)) || parses(() => createPrivateKey(pem))
}

function parses(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch {
    return false
  }
}
