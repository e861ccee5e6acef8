/** The plugin's answers, each made once when a config is put in force. Source: RFC 6750 section 3, RFC 9110 section 5.6.4. */
import { errorShape } from '../../pdk/error-shape.ts'
import type { Answer } from '../../pdk/kong.ts'
import { metadataUrl } from './resource-metadata.ts'
import type { Config } from './ready.ts'

/** Makes an answer with a JSON body and a challenge, to which the parameters belong. */
export type Refuse = (status: 401 | 403 | 503, body: object, ...parameters: readonly string[]) => Answer

/** What every answer of a config has: its realm, where its metadata is (RFC 9728 5.1), and its body's shape. */
export function refuserOf({ realm, resource_metadata: metadata, ...config }: Config): Refuse {
  const common = [
    ...(realm === null ? [] : [`realm=${quoted(realm)}`]),
    ...(metadata === undefined ? [] : [`resource_metadata=${quoted(metadataUrl(metadata))}`]),
  ]
  const { error_format: format, error_template: template, error_content_type: contentType } = config
  const shape = format === undefined ? undefined : errorShape({ format, template, contentType })
  return (status, body, ...parameters) => ({
    status,
    headers: [
      ['Content-Type', 'application/json; charset=utf-8'],
      ['WWW-Authenticate', challenge([...common, ...parameters])],
    ],
    body: JSON.stringify(body),
    ...(shape && { shape }),
  })
}

/** The parameter that says that the token is not good. */
export const invalidToken = 'error="invalid_token"'

/** The value of `WWW-Authenticate`. */
const challenge = (parameters: readonly string[]): string =>
  parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`

/** RFC 9110 5.6.4; control characters, which could end the header line, are dropped. */
export function quoted(text: string): string {
  const escaped = text.replaceAll(/[\u0000-\u001f\u007f]/g, '').replaceAll(/["\\]/g, (character) => `\\${character}`)
  return `"${escaped}"`
}
