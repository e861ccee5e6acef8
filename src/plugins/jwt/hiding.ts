/** Taking the token out of what goes to the upstream, from wherever it may stand. */
import type { AccessKong } from '../../pdk/kong.ts'
import { type Locations, tokenIn } from './locations.ts'

/** Takes out every header, query parameter and cookie in which a token may stand by the config. */
export function hideToken(kong: AccessKong, locations: Locations): void {
  const { headers, parameters, cookies } = locations
  const { request, service } = kong
  for (const name of headers) {
    const value = request.get_header(name)
    if (value !== undefined && tokenIn(value, locations) !== undefined) service.request.clear_alike(name)
  }
  if (parameters.length > 0) hideParameters(kong, parameters)
  if (cookies.length > 0) hideCookies(kong, cookies)
}

function hideParameters({ request, service }: AccessKong, names: readonly string[]): void {
  const query = request.get_raw_query()
  if (query === '') return
  const kept = query.split('&').filter((part) => !names.includes(nameIn(part)))
  if (kept.length < query.split('&').length) service.request.set_raw_query(kept.join('&'))
}

/** A parameter's name, decoded as far as that is possible. */
function nameIn(part: string): string {
  const name = part.slice(0, part.includes('=') ? part.indexOf('=') : undefined).replaceAll('+', ' ')
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function hideCookies({ request, service }: AccessKong, names: readonly string[]): void {
  const lines = request.get_headers().get('cookie')
  if (!lines) return
  const pairs = lines.flatMap((line) => line.split(';')).map((pair) => pair.trim())
  const kept = pairs.filter((pair) => !names.includes((pair.split('=')[0] ?? '').trim().toLowerCase()))
  if (kept.length === pairs.length) return
  if (kept.length === 0) service.request.clear_header('cookie')
  else service.request.set_header('cookie', kept.join('; '))
}
