/**
 * Files of format 1.1 and 2.1 come from before Kong 3, where a path with regex characters was a regular expression of itself.
 * Kong 3 writes those with a leading `~` and matches plain paths as they are written, so both are rewritten as Kong does.
 */
export function modernPath(path: string): string {
  return /^[a-zA-Z0-9.\-_~/%]*$/.test(path) ? normalPath(path) : `~${path.replace(/%([\dA-Fa-f]{2})/g, regexOfOctet)}`
}

const reserved = "!#$%&'()*+,/:;=?@[]"
const regexMeta = '.^-{}\\|'

function regexOfOctet(octet: string, hex: string): string {
  const character = String.fromCharCode(Number.parseInt(hex, 16))
  if (reserved.includes(character)) return octet.toUpperCase()
  return regexMeta.includes(character) ? `\\${character}` : character
}

/** Unreserved octets decoded, dot segments resolved, slashes merged (RFC 3986, section 6.2.2). */
function normalPath(path: string): string {
  const decoded = path.replace(/%([\dA-Fa-f]{2})/g, (octet, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]/.test(character) ? character : octet.toUpperCase()
  })
  return withoutDots(decoded).replace(/\/{2,}/g, '/')
}

function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === '..' && kept.length > 1) kept.pop()
    if (segment !== '.' && segment !== '..') kept.push(segment)
    else if (last) kept.push('')
  })
  return kept.join('/')
}
