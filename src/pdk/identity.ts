import type { Entity } from './entities.ts'

/** Who a request was found to be, with the headers that tell the upstream so. Made once, then used for many requests. */
export interface Identity {
  readonly consumer: Entity | null
  readonly credential: Entity | null
  /** Set on the request to the upstream, in place of any the client sent. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The same as header lines, each ending in CRLF. */
  readonly lines: string
}

/**
 * The identity of a consumer authenticated by a credential, or of the anonymous consumer (`credential` null).
 * `identifier` is the public part of the credential, such as a jwt credential's key; `more` are headers of the plugin's own.
 * Source: Kong's docs, "Authentication", "Upstream headers".
 */
export function identityOf(
  consumer: Entity | null,
  credential: Entity | null,
  identifier?: unknown,
  more: Readonly<Record<string, unknown>> = {},
): Identity {
  const headers: [string, string][] = []
  const add = (name: string, value: unknown) => {
    if (typeof value === 'string') headers.push([name, asHeaderValue(value)])
  }
  add('X-Consumer-ID', consumer?.id)
  add('X-Consumer-Custom-ID', consumer?.['custom_id'])
  add('X-Consumer-Username', consumer?.['username'])
  add('X-Credential-Identifier', credential ? identifier : undefined)
  if (!credential) headers.push(['X-Anonymous-Consumer', 'true'])
  for (const [name, value] of Object.entries(more)) add(name, value)
  return { consumer, credential, headers, lines: headers.map(([name, value]) => `${name}: ${value}\r\n`).join('') }
}

/** UTF-8 text as the latin1 string that goes on the wire; control characters, which could end a header line, are dropped. */
function asHeaderValue(text: string): string {
  return Buffer.from(text.replaceAll(/[\u0000-\u001f\u007f]/g, ''), 'utf8').toString('latin1')
}
