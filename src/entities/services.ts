import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, host, path, port, protocol, tags, utf8_name, uuid } from '../schema/typedefs.ts'

/** A timeout of zero would never let anything through. */
const timeout = { type: 'integer', between: [1, 2_147_483_646], default: 60_000 } as const

const withoutTls = { not_one_of: ['https', 'tls'] } as const

/** An upstream service: where requests go, and how long they may take. */
export const services = {
  name: 'services',
  endpoint_key: 'name',
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { name: utf8_name },
    {
      retries: {
        type: 'integer',
        default: 5,
        between: [0, 32_767],
        description: 'How often a failed try is repeated.',
      },
    },
    { protocol: { ...protocol, required: true, default: 'http' } },
    { host: { ...host, required: true, description: 'The host to send to, or the name of an upstream.' } },
    { port: { ...port, required: true, default: 80 } },
    { path: { ...path, description: 'Put before the path of every request.' } },
    { connect_timeout: { ...timeout, description: 'Milliseconds to connect.' } },
    { write_timeout: { ...timeout, description: 'Milliseconds between two writes to the service.' } },
    { read_timeout: { ...timeout, description: 'Milliseconds between two reads from the service.' } },
    { tags },
    {
      client_certificate: {
        type: 'foreign',
        reference: 'certificates',
        description: 'The certificate to present to the service.',
      },
    },
    { tls_verify: { type: 'boolean', description: "Whether the service's certificate is verified." } },
    {
      tls_verify_depth: {
        type: 'integer',
        default: null,
        between: [0, 64],
        description: 'How long a chain of certificates may be.',
      },
    },
    {
      ca_certificates: {
        type: 'array',
        elements: { type: 'string', uuid: true },
        description: "Ids of the CA certificates that the service's certificate is verified with.",
      },
    },
    { enabled: { type: 'boolean', required: true, default: true, description: 'Whether its routes are in force.' } },
  ],
  entity_checks: [
    {
      conditional: {
        if_field: 'protocol',
        if_match: { one_of: ['tcp', 'tls', 'udp', 'grpc', 'grpcs'] },
        then_field: 'path',
        then_match: { eq: null },
      },
    },
    {
      conditional: {
        if_field: 'protocol',
        if_match: withoutTls,
        then_field: 'client_certificate',
        then_match: { eq: null },
      },
    },
    { conditional: { if_field: 'protocol', if_match: withoutTls, then_field: 'tls_verify', then_match: { eq: null } } },
    {
      conditional: {
        if_field: 'protocol',
        if_match: withoutTls,
        then_field: 'tls_verify_depth',
        then_match: { eq: null },
      },
    },
    {
      conditional: {
        if_field: 'protocol',
        if_match: withoutTls,
        then_field: 'ca_certificates',
        then_match: { eq: null },
      },
    },
  ],
  shorthand_fields: [
    { url: { type: 'string', description: 'Protocol, host, port and path in one.', $expand: expandUrl } },
  ],
} as const satisfies Schema

const portsOfSchemes: Readonly<Record<string, number>> = { http: 80, https: 443 }

/** The parts of a URL, read as leniently as Kong does: what is missing or odd is left to the checks of the fields. */
function expandUrl(url: string | null): Record<string, unknown> {
  // Kong takes null for the text of Lua's null, whose parts break three rules.
  if (url === null) return { protocol: 'userdata', host: null, port: 80, path: ' NULL' }
  const [, scheme, authority, rest = ''] = /^(?:([\dA-Za-z][\w+.-]*):)?(?:\/\/([^/?#]*))?([^]*)$/.exec(url) ?? []
  const [, host = '', portText] = /^([^]*?)(?::([^:\]]*))?$/.exec((authority ?? '').replace(/^[^@]*@/, '')) ?? []
  const port =
    portText === undefined || portText.trim() === '' || Number.isNaN(Number(portText)) ? undefined : Number(portText)
  const protocol = scheme ?? (port === 443 ? 'https' : 'http')
  return {
    protocol,
    host: host === '' ? null : host.replace(/^\[([^]+)\]$/, '$1'),
    port: port ?? portText ?? portsOfSchemes[protocol] ?? 80,
    path: rest.replace(/[#?;][^]*$/, '') || null,
  }
}
