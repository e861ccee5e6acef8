import type { Schema } from '../../schema/field.ts'
import { anonymous, hide_credentials, host, no_consumer, port, protocols_http, realm } from '../../schema/typedefs.ts'

const flag = (description: string) => ({ type: 'boolean', required: true, default: false, description }) as const

/** The ldap-auth plugin's settings. */
export const schema = {
  name: 'ldap-auth',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          { ldap_host: { ...host, required: true, description: "The directory's host." } },
          { ldap_port: { ...port, required: true, default: 389, description: "The directory's port." } },
          { ldaps: flag('Whether TLS is spoken from the start; mostly on port 636.') },
          { start_tls: flag('Whether TLS is asked for first (RFC 4511 4.14).') },
          { verify_ldap_host: flag("Whether the directory's certificate is verified.") },
          {
            base_dn: {
              type: 'string',
              required: true,
              description: 'The entry below which users are, such as `ou=people,dc=example,dc=com`.',
            },
          },
          {
            attribute: {
              type: 'string',
              required: true,
              description: "The attribute that names a user in its entry's name, such as `uid`.",
            },
          },
          {
            cache_ttl: {
              type: 'number',
              required: true,
              default: 60,
              description: 'How long the directory is not asked again about the same password, in seconds.',
            },
          },
          { hide_credentials },
          { timeout: { type: 'number', default: 10_000, description: 'How long the directory may take, in ms.' } },
          {
            keepalive: {
              type: 'number',
              default: 60_000,
              description: 'How long an unused connection to it is kept, in ms.',
            },
          },
          { anonymous },
          {
            header_type: {
              type: 'string',
              default: 'ldap',
              description: 'The scheme of the header with the password, such as `ldap` or `basic`.',
            },
          },
          { realm },
        ],
        entity_checks: [
          {
            conditional: {
              if_field: 'ldaps',
              if_match: { eq: true },
              then_field: 'start_tls',
              then_match: { eq: false },
              then_err: "'ldaps' and 'start_tls' cannot be enabled simultaneously",
            },
          },
        ],
      },
    },
  ],
} as const satisfies Schema
