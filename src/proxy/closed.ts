/** A plugin's config that cannot be put in force, as where its secrets are not there: no request may pass that it has to do with. */
import type { Plugin } from '../pdk/plugin.ts'

/** Stands in the place of what `prepare` would have made of such a config. */
export const closed = Symbol('closed')

/**
 * The plugin with a config like that among others: where that one holds, requests are answered with 500 at the plugin's turn, and
 * it takes part in nothing else.
 */
export function closing(plugin: Plugin<never, unknown>): Plugin<never, unknown> {
  return {
    version: plugin.version,
    priority: plugin.priority,
    prepare: (config, instance) => plugin.prepare(config, instance),
    access: (kong, ready) => (ready === closed ? kong.response.error(500) : plugin.access?.(kong, ready)),
    ...(plugin.rewrite && {
      rewrite: (kong, ready) => (ready === closed ? undefined : plugin.rewrite?.(kong, ready)),
    }),
    ...(plugin.after_access && {
      after_access: (kong, ready) => (ready === closed ? undefined : plugin.after_access?.(kong, ready)),
    }),
    ...(plugin.header_filter && {
      header_filter: (kong, ready) => (ready === closed ? undefined : plugin.header_filter?.(kong, ready)),
    }),
    ...(plugin.body_filter && {
      body_filter: (kong, ready, piece, last) =>
        (ready === closed ? undefined : plugin.body_filter?.(kong, ready, piece, last)) ?? piece,
    }),
    ...(plugin.log && {
      log: (kong, ready) => (ready === closed ? undefined : plugin.log?.(kong, ready)),
    }),
  }
}
