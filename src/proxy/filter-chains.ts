/** Filter chains: they are kept and shown, but no WebAssembly is run. Passed over, one would let through what it is there to refuse. */
import { definePlugin } from '../pdk/plugin.ts'

/** What a chain takes part in requests as, in the place of a plugin's name. */
export const filterChains = 'filter_chains'

/** Takes a chain's place among the plugins, all of which come before it. Source: Kong's docs, "Proxy-Wasm filters". */
export const filterChainStandIn = definePlugin<unknown, unknown>({
  version: '1.0.0',
  priority: -Infinity,
  prepare: (config) => config,
  access: (kong) => kong.response.error(500, 'This gateway does not run filter chains'),
})
