import { RE2JS } from 're2js'

/**
 * Lua's patterns, which Kong's schemas are written and served with, as tests that run in linear time.
 * Source: Lua 5.1 reference manual, 5.4.1 "Patterns". Captures, `%b` and `%f` are not used by any schema and are refused.
 */
export function luaPattern(pattern: string): (text: string) => boolean {
  const known = compiled.get(pattern)
  if (known) return known
  const regex = RE2JS.compile(translate(pattern), RE2JS.DOTALL)
  const test = (text: string) => regex.test(text)
  compiled.set(pattern, test)
  return test
}

const compiled = new Map<string, (text: string) => boolean>()

const classes: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  d: '0-9',
  l: 'a-z',
  u: 'A-Z',
  w: 'A-Za-z0-9',
  x: '0-9A-Fa-f',
  s: '\\t\\n\\v\\f\\r ',
  p: '!-/:-@\\[-`{-~',
  c: '\\x{0}-\\x{1F}\\x{7F}',
}

const token = /%(.)|\[(\^?)(\]?(?:%.|[^\]])*)\]|([\s\S])/gu

function translate(pattern: string): string {
  let out = ''
  for (const [whole, escaped, negated, set, plain = ''] of pattern.matchAll(token)) {
    if (escaped !== undefined) out += classOf(escaped)
    else if (set !== undefined) out += `[${negated}${set.replaceAll(/%(.)|([\\[\]])/gu, setMember)}]`
    else if (plain === '-') out += '*?'
    else if ('^$.*+?'.includes(plain)) out += plain
    else if ('()'.includes(plain)) throw new Error(`captures in the pattern ${pattern}`)
    else out += RE2JS.quote(whole)
  }
  return out
}

function classOf(letter: string): string {
  const body = classes[letter]
  if (body !== undefined) return `[${body}]`
  const complement = classes[letter.toLowerCase()]
  return complement === undefined ? RE2JS.quote(letter) : `[^${complement}]`
}

function setMember(_whole: string, letter: string | undefined, special: string | undefined): string {
  if (letter === undefined) return `\\${special}`
  return classes[letter] ?? `\\${letter}`
}
