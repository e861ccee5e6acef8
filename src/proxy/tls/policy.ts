/**
 * Which TLS the listeners speak.
 * Source: Mozilla's "Security/Server Side TLS" 5.7; Kong's docs, `ssl_cipher_suite` and the settings beside it.
 */
import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'
import type { Settings } from '../../config/settings.ts'

interface Suite {
  readonly ciphers: string
  readonly protocols: readonly SecureVersion[]
  readonly serverChooses: boolean
}

const tls13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const withoutChacha = (cipher: string): boolean => !cipher.includes('CHACHA20')
const intermediate = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
]
const old = [
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'DHE-RSA-AES128-SHA256',
  'DHE-RSA-AES256-SHA256',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA256',
  'AES256-SHA256',
  'AES128-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
  // What OpenSSL's usual security level forbids; whoever chooses this suite has to serve such clients.
  '@SECLEVEL=0',
]
const usual = ['TLSv1.2', 'TLSv1.3'] as const
const every = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

// Mozilla's, and before them the one that no quantum computer breaks, where this OpenSSL has it.
const groups = ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1']
const knownGroups = (): string => groups.filter(isKnownGroup).join(':')

function isKnownGroup(name: string): boolean {
  try {
    createSecureContext({ ecdhCurve: name })
    return true
  } catch {
    return false
  }
}

const suites: Readonly<Record<Exclude<Settings['ssl_cipher_suite'], 'custom'>, Suite>> = {
  modern: { ciphers: tls13.join(':'), protocols: ['TLSv1.3'], serverChooses: false },
  intermediate: { ciphers: [...tls13, ...intermediate].join(':'), protocols: usual, serverChooses: false },
  old: { ciphers: [...tls13, ...intermediate, ...old].join(':'), protocols: every, serverChooses: true },
  fips: {
    ciphers: [...tls13, ...intermediate].filter(withoutChacha).join(':'),
    protocols: usual,
    serverChooses: true,
  },
}

/** The settings that say how TLS is spoken. */
export type TlsSettings = Pick<
  Settings,
  | 'ssl_cipher_suite'
  | 'ssl_ciphers'
  | 'ssl_protocols'
  | 'ssl_prefer_server_ciphers'
  | 'ssl_dhparam'
  | 'ssl_session_tickets'
  | 'ssl_session_timeout'
>

/** What every secure context of a listener is made with, but for its certificates. Throws where `ssl_dhparam` cannot be read. */
export function tlsPolicy(settings: TlsSettings): SecureContextOptions {
  const { ciphers, protocols, serverChooses } = suiteOf(settings)
  const tickets = settings.ssl_session_tickets ? 0 : constants.SSL_OP_NO_TICKET
  return {
    ...(ciphers === '' ? {} : { ciphers }),
    minVersion: protocols[0] ?? 'TLSv1.2',
    maxVersion: protocols.at(-1) ?? 'TLSv1.3',
    honorCipherOrder: serverChooses,
    ecdhCurve: settings.ssl_cipher_suite === 'custom' ? 'auto' : knownGroups(),
    dhparam: dhParameters(settings.ssl_dhparam),
    // A client could ask for new handshakes again and again, which cost the server far more than the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | tickets,
    sessionTimeout: Math.floor(settings.ssl_session_timeout / 1000),
    // The same in every context and every worker, so that each resumes what another began.
    sessionIdContext: 'gibbon',
  }
}

function suiteOf(settings: TlsSettings): Suite {
  if (settings.ssl_cipher_suite !== 'custom') return suites[settings.ssl_cipher_suite]
  return {
    ciphers: settings.ssl_ciphers ?? '',
    protocols: every.filter((version) => settings.ssl_protocols.includes(version)),
    serverChooses: settings.ssl_prefer_server_ciphers,
  }
}

/** A file, or the group that suits the certificate's key; names such as `ffdhe2048`, Kong's, stand for the same. */
function dhParameters(given: string | undefined): string | Buffer {
  return given === undefined || given.startsWith('ffdhe') ? 'auto' : readFileSync(given)
}
