/**
 * Which fields may stand in a trailer. Source: RFC 9110 6.5.1: none that is needed for framing, routing, authentication, request
 * modifiers, response controls, or the content's form, since whoever merges trailers into headers would act on it too late, or
 * on a word that nobody has checked.
 */
import { guarded, known, requestDrop, responseDrop } from './fields.ts'

// What the gateway itself sets, drops or guards in a head has no business behind the body either.
const own = known
  .filter((_, id) => id > 0 && (requestDrop[id] || responseDrop[id] || guarded[id]))
  .map(({ name }) => name)

const others = `
  trailer forwarded max-forwards proxy-authorization proxy-authenticate www-authenticate authentication-info
  proxy-authentication-info accept accept-charset accept-encoding accept-language origin referer range pragma
  if-match if-none-match if-modified-since if-unmodified-since if-range prefer age cache-control expires
  location retry-after vary warning refresh allow alt-svc content-range content-location content-language
  content-disposition strict-transport-security
`

const refused: ReadonlySet<string> = new Set([...own, ...others.trim().split(/\s+/)])

const refusedPrefixes = ['x-forwarded-', 'x-consumer-', 'x-credential-', 'x-authenticated-', 'access-control-', 'sec-']

/** Whether a trailer line of this name is passed on; `_` counts as `-`, as many applications read it. */
export function mayTrail(name: string): boolean {
  const lower = name.toLowerCase().replaceAll('_', '-')
  return !refused.has(lower) && !refusedPrefixes.some((prefix) => lower.startsWith(prefix))
}
