/** Addresses that users are sent back to, with what the client is told. */
import { allOf, parseArguments } from '../../pdk/body.ts'

/** Of a longer query the rest is left out, as in Kong. */
const mostArguments = 100

/**
 * The address with parameters, by name, in its query or, where browsers are not to send them on, in its fragment. Arguments of its
 * query give way to parameters of their name.
 */
export function withParameters(uri: string, parameters: object, place: '?' | '#'): string {
  if (place === '#') return `${uri}#${encode(parameters)}`
  const mark = uri.indexOf('?')
  const [base, query] = mark < 0 ? [uri, ''] : [uri.slice(0, mark), uri.slice(mark + 1)]
  const before = allOf(parseArguments(Buffer.from(query).toString('latin1'), mostArguments))
  return `${base}?${encode({ ...before, ...parameters })}`
}

const encode = (parameters: object): string =>
  Object.entries(parameters)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([name, value]) => argumentsOf(name, value))
    .join('&')

/** As Kong writes them: the parts of a list as `name[1]`, a name alone where there is nothing. */
function argumentsOf(name: string, value: unknown): string[] {
  if (value === '') return [escape(name)]
  if (Array.isArray(value)) return value.flatMap((part, at) => argumentsOf(`${name}[${at + 1}]`, part))
  return [`${escape(name)}=${escape(String(value))}`]
}

/** As Kong escapes: everything but letters, digits and `_`. */
const escape = (text: string): string =>
  Buffer.from(text, 'utf8')
    .toString('latin1')
    .replaceAll(/\W/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
