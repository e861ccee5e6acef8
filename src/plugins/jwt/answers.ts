/** The plugin's answers, each made once when a config is put in force. Source: RFC 6750 section 3, RFC 9110 section 5.6.4. */
import type { Answer } from '../../pdk/kong.ts'

/** The value of `WWW-Authenticate`. */
export function challenge(realm: string | null, ...more: readonly string[]): string {
  const parameters = [...(realm === null ? [] : [`realm=${quoted(realm)}`]), ...more]
  return parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`
}

/** RFC 9110 5.6.4; control characters, which could end the header line, are dropped. */
export function quoted(text: string): string {
  const escaped = text.replaceAll(/[\u0000-\u001f\u007f]/g, '').replaceAll(/["\\]/g, (character) => `\\${character}`)
  return `"${escaped}"`
}

/** An answer with a JSON body and a challenge. */
export function refusing(status: 401 | 403, body: object, wwwAuthenticate: string): Answer {
  return {
    status,
    headers: [
      ['Content-Type', 'application/json; charset=utf-8'],
      ['WWW-Authenticate', wwwAuthenticate],
    ],
    body: JSON.stringify(body),
  }
}
