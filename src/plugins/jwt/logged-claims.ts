/** Claims that the access log has of a request. */
import { claimAt, type ClaimPath } from './claims.ts'
import type { JsonObject } from './token.ts'

/** Longer values, as JSON, are left out: a client may make its claims as long as it likes. */
const LONGEST = 1024

/** The claims at these paths by their names, inner ones behind a dot; undefined where the token has none of them. */
export function loggedClaims(paths: readonly ClaimPath[], claims: JsonObject): Record<string, unknown> | undefined {
  const found = paths.flatMap((path): [string, unknown][] => {
    const value = claimAt(claims, path)
    return value === undefined || JSON.stringify(value).length > LONGEST ? [] : [[path.join('.'), value]]
  })
  return found.length > 0 ? Object.fromEntries(found) : undefined
}
