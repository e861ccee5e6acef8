/** The plugin's answers, each made once when a config is put in force. Source: RFC 6750 section 3, RFC 9110 section 5.6.4. */
import { errorShape } from '../../pdk/error-shape.ts'
import type { Answer } from '../../pdk/kong.ts'
import { proofAlgorithms } from './proof-algorithms.ts'
import { metadataUrl } from './resource-metadata.ts'
import type { Config } from './ready.ts'

/** An answer that refuses, with what counts call it, such as `audience`. */
export type Refused = Answer & { readonly reason: string }

/** Makes an answer with a JSON body and a challenge, to which the parameters belong. */
export type Refuse = (
  reason: string,
  status: 401 | 403 | 429 | 503,
  body: object,
  ...parameters: readonly string[]
) => Refused

export type Scheme = 'Bearer' | 'DPoP'

/** What every answer of a config has: its realm, where its metadata is (RFC 9728 5.1), and its body's shape. */
export function refuserOf(config: Config, scheme: Scheme = usualScheme(config)): Refuse {
  const { realm, resource_metadata: metadata, dpop } = config
  const common = [
    ...(realm === null ? [] : [`realm=${quoted(realm)}`]),
    ...(metadata === undefined ? [] : [`resource_metadata=${quoted(metadataUrl(metadata))}`]),
  ]
  const algs = dpop ? [`algs=${quoted(proofAlgorithms(config).join(' '))}`] : []
  const { error_format: format, error_template: template, error_content_type: contentType } = config
  const shape = format === undefined ? undefined : errorShape({ format, template, contentType })
  return (reason, status, body, ...parameters) => {
    const own = challenge(scheme, [...common, ...parameters, ...(scheme === 'DPoP' ? algs : [])])
    // RFC 9449 7.2: where both are taken, both are told of.
    const other = scheme === 'Bearer' && dpop ? [challenge('DPoP', [...common, ...algs])] : []
    return {
      reason,
      status,
      headers: [
        ['Content-Type', 'application/json; charset=utf-8'],
        ...[own, ...other].map((value): [string, string] => ['WWW-Authenticate', value]),
      ],
      body: JSON.stringify(body),
      ...(shape && { shape }),
    }
  }
}

/** The parameter that says that the token is not good. */
export const invalidToken = 'error="invalid_token"'

/** RFC 9449 7.1: a client that must bring proofs is told so. */
const usualScheme = ({ dpop }: Pick<Config, 'dpop'>): Scheme => (dpop?.required ? 'DPoP' : 'Bearer')

/** The value of `WWW-Authenticate`. */
const challenge = (scheme: Scheme, parameters: readonly string[]): string =>
  parameters.length === 0 ? scheme : `${scheme} ${parameters.join(', ')}`

/** RFC 9110 5.6.4; control characters, which could end the header line, are dropped. */
export function quoted(text: string): string {
  const escaped = text.replaceAll(/[\u0000-\u001f\u007f]/g, '').replaceAll(/["\\]/g, (character) => `\\${character}`)
  return `"${escaped}"`
}
