/**
 * What a client is told that comes without a token: where to get one, and for what (OAuth 2.0 Protected Resource Metadata).
 * Source: RFC 9728 sections 2, 3.1 and 5.1.
 */
import type { Answer } from '../../pdk/kong.ts'
import type { ServedDocument } from '../../pdk/plugin.ts'
import { jsonDocument } from './documents.ts'
import { proofAlgorithms } from './proof-algorithms.ts'
import type { Config } from './ready.ts'

type Metadata = NonNullable<Config['resource_metadata']>

const wellKnown = '/.well-known/oauth-protected-resource'

/** Where a resource's metadata is: the well-known path stands between the host and the resource's own path. */
export function metadataUrl({ resource }: Pick<Metadata, 'resource'>): string {
  const { origin, pathname, search } = new URL(resource)
  return `${origin}${wellKnown}${pathname === '/' ? '' : pathname}${search}`
}

/** The document of a config; undefined where it has none. */
export function metadataDocument(config: Config): ServedDocument | undefined {
  const { resource_metadata: metadata } = config
  if (metadata === undefined) return undefined
  const { hostname, pathname } = new URL(metadataUrl(metadata))
  const answer: Answer = jsonDocument(metadataOf(config, metadata))
  return { host: hostname, path: pathname, answer: () => answer }
}

/** What the config does not say follows from what it asks of tokens. */
function metadataOf(config: Config, given: Metadata): object {
  const { issuers, scopes_required, header_names, dpop, certificate_bound } = config
  const servers = given.authorization_servers ?? issuers?.map(({ issuer }) => issuer)
  const scopes = given.scopes_supported ?? scopes_required?.flatMap((words) => words.split(' ').filter(Boolean))
  return {
    resource: given.resource,
    ...(servers && { authorization_servers: [...new Set(servers)] }),
    ...(scopes && { scopes_supported: [...new Set(scopes)] }),
    // The other two ways of RFC 6750 have names of their own for the parameter, which a config need not have.
    bearer_methods_supported: (header_names ?? []).length > 0 ? ['header'] : [],
    ...(dpop && { dpop_signing_alg_values_supported: proofAlgorithms(config) }),
    ...(dpop?.required && { dpop_bound_access_tokens_required: true }),
    ...(certificate_bound && { tls_client_certificate_bound_access_tokens: true }),
    ...(given.resource_name !== undefined && { resource_name: given.resource_name }),
    ...(given.resource_documentation !== undefined && { resource_documentation: given.resource_documentation }),
  }
}
