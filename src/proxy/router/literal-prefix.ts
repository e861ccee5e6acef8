/** Characters that are more than themselves in a regular expression. */
const special = new Set('\\.+*?()|[]{}^$')

/**
 * The text that everything a pattern matches begins with, as far as it can be told without understanding the pattern;
 * the empty string when in doubt. It lets the router skip a regular expression whose path does not begin that way.
 */
export function literalPrefix(pattern: string): string {
  if (hasAlternatives(pattern)) return ''
  let prefix = ''
  let at = 0
  while (at < pattern.length) {
    const escaped = pattern[at] === '\\'
    const character = pattern[escaped ? at + 1 : at] ?? ''
    if (!isLiteral(character, escaped)) break
    const next = pattern[at + (escaped ? 2 : 1)] ?? ''
    // What may be absent is no prefix.
    if (next === '*' || next === '?' || next === '{') break
    prefix += character
    if (next === '+') break
    at += escaped ? 2 : 1
  }
  return prefix
}

/** A letter or digit after a backslash is a class, an assertion or a code point; half a surrogate pair cannot be repeated alone. */
function isLiteral(character: string, escaped: boolean): boolean {
  if (character === '' || (character >= '\ud800' && character <= '\udfff')) return false
  return escaped ? !/[A-Za-z0-9<>]/.test(character) : !special.has(character)
}

/** Whether a `|` stands outside of every group: each alternative begins in its own way. */
function hasAlternatives(pattern: string): boolean {
  let groups = 0
  let classes = 0
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === '\\') at++
    else if (character === '[') classes++
    else if (character === ']') classes = Math.max(0, classes - 1)
    else if (classes > 0) continue
    else if (character === '(') groups++
    else if (character === ')') groups--
    else if (character === '|' && groups === 0) return true
  }
  return false
}
