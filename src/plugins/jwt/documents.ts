/** Documents that the plugin has the gateway serve. */
import type { Answer } from '../../pdk/kong.ts'

/** A public document: pages of any origin may read it, and it may be kept for a while. */
export const jsonDocument = (value: object, maxAgeSeconds = 300): Answer => ({
  status: 200,
  headers: [
    ['Content-Type', 'application/json'],
    ['Cache-Control', `public, max-age=${maxAgeSeconds}`],
    ['Access-Control-Allow-Origin', '*'],
  ],
  body: JSON.stringify(value),
})
