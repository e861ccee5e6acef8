/**
 * A path in its normal form: percent-encoded characters that need no encoding are decoded, dot segments are resolved, and
 * repeated slashes become one.
 * Source: RFC 3986 6.2.2; Kong's docs, "Routes", "Path normalization".
 */
export function normalisedPath(path: string): string {
  const bytes = Buffer.from(path, 'utf8').toString('latin1')
  const decoded = bytes.replaceAll(/%([\dA-Fa-f]{2})/g, decode)
  return Buffer.from(withoutDots(decoded), 'latin1').toString('utf8')
}

const reserved = "!*'();:@&=+$,/?%#[]"

function decode(whole: string, hex: string): string {
  const character = String.fromCharCode(Number.parseInt(hex, 16))
  return reserved.includes(character) ? whole.toUpperCase() : character
}

function withoutDots(path: string): string {
  const out: string[] = []
  const segments = path
    .replaceAll(/\/{2,}/g, '/')
    .split('/')
    .slice(1)
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === '..') out.pop()
    if (segment !== '.' && segment !== '..') out.push(segment)
    else if (last) out.push('')
  })
  return `/${out.join('/')}`
}
