/**
 * A small parser for grammars written as data, after parsing expression grammars: choices are tried in order, repetitions take all
 * they can. Where a text does not parse it tells what could have stood at the furthest place that was reached, as pest does, in
 * whose words Kong's users know the errors. Source: https://pest.rs/book/grammars/peg.html
 */

/** Something that may match: a text, a pattern (sticky), a rule by its name, or a combination. */
export type Part =
  | string
  | RegExp
  | { readonly rule: string }
  | { readonly all: readonly Part[] }
  | { readonly one: readonly Part[] }
  | { readonly repeat: Part; readonly least: number; readonly most: number }
  | { readonly at: 'start' | 'end' }

export interface Rule {
  /** Blanks may stand between the parts of a `spaced` rule; nothing inside of a `word` is told of in errors. */
  readonly kind: 'spaced' | 'tight' | 'word'
  readonly part: Part
}

/** Rules by name, in the order in which errors list them. */
export type Grammar = Readonly<Record<string, Rule>>

/** What a rule has matched. */
export interface Tree {
  readonly rule: string
  readonly from: number
  readonly to: number
  readonly text: string
  readonly children: readonly Tree[]
}

/** Rules that could have matched at a place, and did not. */
export interface Expected {
  readonly at: number
  readonly rules: readonly string[]
}

export const rule = (name: string): Part => ({ rule: name })
export const all = (...parts: readonly Part[]): Part => ({ all: parts })
export const one = (...parts: readonly Part[]): Part => ({ one: parts })
export const maybe = (part: Part): Part => ({ repeat: part, least: 0, most: 1 })
export const many = (part: Part): Part => ({ repeat: part, least: 0, most: Infinity })

/** How deeply rules may stand in one another: deeper texts are not parsed, rather than run out of stack. */
const deepest = 2000
const blank = /[ \t\r\n]*/y

/** Parses all of a text as a rule of the grammar. */
export function parse(grammar: Grammar, name: string, text: string): Tree | Expected {
  const run = new Run(grammar, text)
  const [tree] = run.rule(name, 0)?.trees ?? []
  if (tree) return tree
  const order = Object.keys(grammar)
  return {
    at: run.furthest,
    rules: [...new Set(run.tried)].sort((one, other) => order.indexOf(one) - order.indexOf(other)),
  }
}

interface Matched {
  readonly to: number
  readonly trees: readonly Tree[]
}

const nothing: readonly Tree[] = []

class Run {
  readonly grammar: Grammar
  readonly text: string
  /** The furthest place at which something failed, and what did. */
  furthest = 0
  tried: string[] = []
  #kind: Rule['kind'] = 'spaced'
  #depth = 0

  constructor(grammar: Grammar, text: string) {
    this.grammar = grammar
    this.text = text
  }

  rule(name: string, at: number): Matched | undefined {
    const { kind, part } = this.grammar[name] as Rule
    const before = this.#kind
    // What is inside of a word stays inside of it.
    if (before !== 'word' && (kind !== 'spaced' || before === 'spaced')) this.#kind = kind
    const triedBefore = at === this.furthest ? this.tried.length : 0
    const matched = this.#depth < deepest ? this.#deeper(part, at) : undefined
    const tracked = kind === 'word' ? before : this.#kind
    this.#kind = before
    if (matched === undefined) {
      this.#track(name, at, triedBefore, tracked)
      return undefined
    }
    const { to, trees } = matched
    return { to, trees: [{ rule: name, from: at, to, text: this.text.slice(at, to), children: trees }] }
  }

  #deeper(part: Part, at: number): Matched | undefined {
    this.#depth++
    const matched = this.#match(part, at)
    this.#depth--
    return matched
  }

  /**
   * Notes a rule that has failed. Rules inside of it that failed at the same place say no more than it does, unless there was one
   * only.
   */
  #track(name: string, at: number, triedBefore: number, kind: Rule['kind']): void {
    if (kind === 'word') return
    const triedNow = at === this.furthest ? this.tried.length : 0
    if (triedNow > triedBefore && triedNow - triedBefore === 1) return
    if (at === this.furthest) this.tried.length = triedBefore
    if (at > this.furthest) {
      this.tried = []
      this.furthest = at
    }
    if (at === this.furthest) this.tried.push(name)
  }

  #match(part: Part, at: number): Matched | undefined {
    if (typeof part === 'string')
      return this.text.startsWith(part, at) ? { to: at + part.length, trees: nothing } : undefined
    if (part instanceof RegExp) return this.#pattern(part, at)
    if ('rule' in part) return this.rule(part.rule, at)
    if ('all' in part) return this.#all(part.all, at)
    if ('one' in part) return this.#one(part.one, at)
    if ('at' in part)
      return at === (part.at === 'start' ? 0 : this.text.length) ? { to: at, trees: nothing } : undefined
    return this.#repeat(part.repeat, part.least, part.most, at)
  }

  #pattern(pattern: RegExp, at: number): Matched | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(this.text)
    return found ? { to: at + found[0].length, trees: nothing } : undefined
  }

  #all(parts: readonly Part[], at: number): Matched | undefined {
    let to = at
    const trees: Tree[] = []
    for (const [index, part] of parts.entries()) {
      const matched = this.#match(part, index === 0 ? to : this.#blanks(to))
      if (!matched) return undefined
      ;({ to } = matched)
      for (const tree of matched.trees) trees.push(tree)
    }
    return { to, trees }
  }

  #one(parts: readonly Part[], at: number): Matched | undefined {
    for (const part of parts) {
      const matched = this.#match(part, at)
      if (matched) return matched
    }
    return undefined
  }

  #repeat(part: Part, least: number, most: number, at: number): Matched | undefined {
    let to = at
    const trees: Tree[] = []
    let count = 0
    for (; count < most; count++) {
      const matched = this.#match(part, count === 0 ? to : this.#blanks(to))
      if (!matched) break
      ;({ to } = matched)
      for (const tree of matched.trees) trees.push(tree)
    }
    return count < least ? undefined : { to, trees }
  }

  #blanks(at: number): number {
    return this.#kind === 'spaced' ? (this.#pattern(blank, at)?.to ?? at) : at
  }
}
