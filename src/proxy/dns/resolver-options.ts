import type { Settings } from '../../config/settings.ts'
import type { ResolverOptions } from './resolver.ts'

/** How the settings `dns_*` want names resolved. */
export const resolverOptions = (settings: Settings): ResolverOptions => ({
  ...(settings.dns_resolver.length > 0 ? { servers: settings.dns_resolver } : {}),
  ...(settings.dns_valid_ttl === undefined ? {} : { validTtl: settings.dns_valid_ttl }),
  hostsFile: settings.dns_hostsfile,
  staleTtl: settings.dns_stale_ttl,
  notFoundTtl: settings.dns_not_found_ttl,
  errorTtl: settings.dns_error_ttl,
  order: settings.dns_order,
  maxEntries: settings.dns_cache_size,
})
