/**
 * Regular expressions that configuration brings and strangers' input meets: the syntax and meaning of Rust's `regex` crate,
 * which Kong 3's router uses, in time linear in the input's length.
 *
 * The pattern is read once and rewritten for RE2, whose syntax differs: Rust's classes are Unicode ones, `(?x)` and `\u{..}`
 * exist, and what RE2 alone knows (octal escapes, `\Q`, a literal `{`) is refused.
 * Source: https://docs.rs/regex/1/regex/#syntax
 */
import { type Matcher, RE2JS, RE2JSSyntaxException } from 're2js'

/** Where a regular expression matched: `end` is an index into the text, groups are undefined, and names absent, where they took no part. */
export interface RegexMatch {
  readonly end: number
  readonly groups: readonly (string | undefined)[]
  readonly named: Readonly<Record<string, string>>
}

/** A compiled regular expression; it keeps no state between calls. */
export interface Regex {
  readonly source: string
  /** Whether the text matches anywhere. */
  test(text: string): boolean
  /** The match that begins at the text's start, or undefined. `groups[0]` is the whole match. */
  matchStart(text: string): RegexMatch | undefined
  /** The first match anywhere, or undefined. */
  find(text: string): RegexMatch | undefined
}

export type CompiledRegex =
  | { readonly ok: true; readonly regex: Regex }
  | { readonly ok: false; readonly error: string }

/** Longer patterns are refused: compiling takes time in proportion to the length. */
const longestPattern = 8192

/** Compiles a pattern; the error is one line without the pattern. */
export function compileRegex(pattern: string): CompiledRegex {
  if (pattern.length > longestPattern) return { ok: false, error: `longer than ${longestPattern} characters` }
  const translated = translate(pattern)
  if ('error' in translated) return { ok: false, error: translated.error }
  try {
    return { ok: true, regex: regexOf(pattern, RE2JS.compile(translated.pattern)) }
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error
    return { ok: false, error: error.getDescription() }
  }
}

const noNames: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

function regexOf(source: string, compiled: RE2JS): Regex {
  const names = Object.keys(compiled.namedGroups())
  const groupCount = compiled.groupCount()
  return {
    source,
    test: (text) => compiled.test(text),
    matchStart(text) {
      const matcher = compiled.matcher(text)
      return matcher.lookingAt() ? matchOf(matcher, text) : undefined
    },
    find(text) {
      const matcher = compiled.matcher(text)
      return matcher.find() ? matchOf(matcher, text) : undefined
    },
  }

  function matchOf(matcher: Matcher, text: string): RegexMatch {
    const end = matcher.end()
    const groups: (string | undefined)[] = [text.slice(matcher.start(), end)]
    // Asking for a group makes the engine match once more, so a pattern without groups is not asked.
    for (let group = 1; group <= groupCount; group++) groups.push(matcher.group(group) ?? undefined)
    return { end, groups, named: names.length > 0 ? namedGroups(matcher, names) : noNames }
  }
}

function namedGroups(matcher: Matcher, names: readonly string[]): Readonly<Record<string, string>> {
  const named: Record<string, string> = Object.create(null)
  for (const name of names) {
    const text = matcher.group(name)
    if (text !== null) named[name] = text
  }
  return named
}

/** Flags that govern the rewriting itself; they are scoped by groups. */
interface Flags {
  readonly unicode: boolean
  readonly extended: boolean
}

interface State {
  readonly pattern: string
  at: number
  out: string
  flags: Flags
  readonly open: Flags[]
}

/** Thrown by the steps below and caught by `translate` alone. */
class Refused extends Error {}

function translate(pattern: string): { pattern: string } | { error: string } {
  const state: State = { pattern, at: 0, out: '', flags: { unicode: true, extended: false }, open: [] }
  try {
    while (state.at < pattern.length) step(state)
    if (state.open.length > 0) throw new Refused('missing closing parenthesis')
    return { pattern: state.out }
  } catch (error) {
    if (error instanceof Refused) return { error: error.message }
    throw error
  }
}

const repetition = /\{\d+(?:,\d*)?\}/y
const groupName = /\?P?<([A-Za-z_][\w.]*)>/y
const groupFlags = /\?([a-zA-Z-]*)([:)])/y
const lookAround = /\?<?[=!]/y

/** Reads one piece of the pattern and writes what RE2 calls it. */
function step(state: State): void {
  const character = state.pattern[state.at] ?? ''
  if (state.flags.extended && skipLayout(state, character)) return
  if (character === '\\') return escape(state, false)
  if (character === '[') return bracket(state)
  if (character === '(') return openGroup(state)
  if (character === ')') return closeGroup(state)
  if (character === '{') return copy(state, repetition, 'repetition quantifier expects a valid decimal')
  if (character === '}') return emit(state, '\\}', 1)
  emit(state, character, 1)
}

function skipLayout(state: State, character: string): boolean {
  if (/\s/.test(character)) {
    state.at++
    return true
  }
  if (character !== '#') return false
  const end = state.pattern.indexOf('\n', state.at)
  state.at = end < 0 ? state.pattern.length : end + 1
  return true
}

function emit(state: State, text: string, length: number): void {
  state.out += text
  state.at += length
}

function matchHere(state: State, sticky: RegExp, at = state.at): RegExpExecArray | null {
  sticky.lastIndex = at
  return sticky.exec(state.pattern)
}

function copy(state: State, sticky: RegExp, error: string): void {
  const found = matchHere(state, sticky)
  if (!found) throw new Refused(error)
  emit(state, found[0], found[0].length)
}

function openGroup(state: State): void {
  const inside = state.at + 1
  if (state.pattern[inside] !== '?') {
    state.open.push(state.flags)
    return emit(state, '(', 1)
  }
  if (matchHere(state, lookAround, inside))
    throw new Refused('look-around, including look-ahead and look-behind, is not supported')
  const named = matchHere(state, groupName, inside)
  if (named) {
    state.open.push(state.flags)
    return emit(state, `(?P<${named[1]}>`, named[0].length + 1)
  }
  const flags = matchHere(state, groupFlags, inside)
  if (!flags) throw new Refused('unrecognized group syntax')
  setFlags(state, flags[1] ?? '', flags[2] === ':')
  state.at += flags[0].length + 1
}

/** `(?i-s:` opens a group with flags, `(?i-s)` sets them until the enclosing group ends. */
function setFlags(state: State, text: string, opens: boolean): void {
  const known = flagSets.exec(text)
  if (!known) throw new Refused('unrecognized flag')
  const [on = '', off = ''] = [known[1], known[2]]
  if (!opens && on + off === '') throw new Refused('unrecognized group syntax')
  const before = state.flags
  if (opens) state.open.push(before)
  state.flags = { unicode: switched('u', before.unicode, on, off), extended: switched('x', before.extended, on, off) }
  const kept = on.replaceAll(/[ux]/g, '')
  const dropped = off.replaceAll(/[ux]/g, '')
  const flags = kept + (dropped ? `-${dropped}` : '')
  if (opens) state.out += `(?${flags}:`
  else if (flags) state.out += `(?${flags})`
}

const flagSets = /^([imsUux]*)(?:-([imsUux]+))?$/

const switched = (flag: string, before: boolean, on: string, off: string): boolean =>
  on.includes(flag) || (before && !off.includes(flag))

function closeGroup(state: State): void {
  const flags = state.open.pop()
  if (!flags) throw new Refused('unmatched closing parenthesis')
  state.flags = flags
  emit(state, ')', 1)
}

/** Bodies of bracket classes that stand for Rust's Unicode classes; RE2's own are ASCII only. */
const unicodeClasses: Readonly<Record<string, string>> = {
  d: '\\p{Nd}',
  w: '\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{200C}\\x{200D}',
  s: '\\t\\n\\v\\f\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}',
}
const complements: Readonly<Record<string, string>> = {
  D: '\\P{Nd}',
  S: '\\x{0}-\\x{8}\\x{E}-\\x{1F}\\x{21}-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{10FFFF}',
}

const codePoint =
  /\\(?:x\{([0-9A-Fa-f]{1,6})\}|[uU]\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/y
const property = /\\[pP](?:\{\^?[\w=:! -]+\}|[A-Za-z])/y
const plainEscapes = 'aftnrv'
const assertions = 'Az'

/** An escape sequence, in or outside of a bracket class. */
function escape(state: State, inClass: boolean): void {
  const next = state.pattern[state.at + 1]
  if (next === undefined) throw new Refused('\\ at end of pattern')
  if (/[1-9]/.test(next)) throw new Refused('backreferences are not supported')
  const point = matchHere(state, codePoint)
  if (point) return emit(state, `\\x{${codePointOf(point)}}`, point[0].length)
  if (matchHere(state, property)) return copy(state, property, '')
  if (next in unicodeClasses || next.toLowerCase() in unicodeClasses)
    return emit(state, classEscape(state, next, inClass), 2)
  if (plainEscapes.includes(next)) return emit(state, `\\${next}`, 2)
  if (!inClass && assertions.includes(next)) return emit(state, `\\${next}`, 2)
  if (!inClass && 'bB'.includes(next) && state.pattern[state.at + 2] !== '{') return emit(state, `\\${next}`, 2)
  if (/[A-Za-z0-9<>]/.test(next) || next > '\u007f') throw new Refused('unrecognized escape sequence')
  emit(state, `\\${next}`, 2)
}

function codePointOf(found: RegExpExecArray): string {
  const hex = found.slice(1).find((digits) => digits !== undefined) ?? ''
  const value = Number.parseInt(hex, 16)
  if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) throw new Refused('not a Unicode scalar value')
  return hex
}

function classEscape(state: State, letter: string, inClass: boolean): string {
  if (!state.flags.unicode) return `\\${letter}`
  const positive = unicodeClasses[letter]
  if (positive !== undefined) return inClass ? positive : `[${positive}]`
  const negative = complements[letter]
  if (inClass && negative === undefined) throw new Refused('\\W inside a character class is not supported')
  return inClass ? (negative ?? '') : `[^${unicodeClasses[letter.toLowerCase()]}]`
}

const posixClass = /\[:\^?[a-z]+:\]/y

/** A bracket class. Rust's nested classes and set operations have no counterpart in RE2 and are refused. */
function bracket(state: State): void {
  emit(state, '[', 1)
  if (state.pattern[state.at] === '^') emit(state, '^', 1)
  if (state.pattern[state.at] === ']') emit(state, '\\]', 1)
  while (state.pattern[state.at] !== ']') inBracket(state)
  emit(state, ']', 1)
}

function inBracket(state: State): void {
  const character = state.pattern[state.at]
  if (character === undefined) throw new Refused('missing terminating ] for character class')
  if (state.flags.extended && skipLayout(state, character)) return
  if (character === '\\') return escape(state, true)
  const pair = state.pattern.slice(state.at, state.at + 2)
  if (pair === '&&' || pair === '~~' || (pair === '--' && state.pattern[state.at + 2] !== ']')) {
    throw new Refused('set operations inside a character class are not supported')
  }
  if (character !== '[') return emit(state, character, 1)
  if (matchHere(state, posixClass)) return copy(state, posixClass, '')
  // A lone `[` is a nested class in Rust, and mostly one that nobody closed.
  if (!state.pattern.includes(']', state.at)) throw new Refused('missing terminating ] for character class')
  throw new Refused('nested character classes are not supported')
}
