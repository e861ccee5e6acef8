/** The conditions of a rule that are tried one by one: server names and headers. */
import type { HeaderRule, SniRule } from './rule.ts'

const overTls = (scheme: string): boolean => scheme === 'https' || scheme === 'grpcs' || scheme === 'tls'

/** Server names are a condition for TLS only: a plain request passes. */
export function matchesSni(rules: readonly SniRule[], scheme: string, sni: string | undefined): boolean {
  if (!overTls(scheme)) return true
  if (sni === undefined) return false
  for (const rule of rules) if (sniKinds[rule.kind](sni, rule.text)) return true
  return false
}

const sniKinds: Readonly<Record<SniRule['kind'], (sni: string, text: string) => boolean>> = {
  exact: (sni, text) => sni === text,
  suffix: (sni, text) => sni.endsWith(text),
  prefix: (sni, text) => sni.startsWith(text),
}

/** What header rules ask of a request. */
export interface HeaderSource {
  header(lowerName: string): readonly string[] | undefined
}

/** Every rule must hold for at least one line of its header. */
export function matchesHeaders(rules: readonly HeaderRule[], request: HeaderSource): boolean {
  for (const rule of rules) if (!matchesHeader(rule, request)) return false
  return true
}

function matchesHeader(rule: HeaderRule, request: HeaderSource): boolean {
  for (const name of rule.names) {
    const lines = request.header(name)
    if (lines && lines.length > 0) return matchesLine(rule, lines)
  }
  return false
}

function matchesLine({ values, regexes }: HeaderRule, lines: readonly string[]): boolean {
  for (const line of lines) {
    const value = textOf(line)
    if (values.has(value.toLowerCase())) return true
    for (const regex of regexes) if (regex.test(value)) return true
  }
  return false
}

/** Header values arrive one character a byte; a rule is written as text. */
function textOf(line: string): string {
  return /[\x80-\xff]/.test(line) ? Buffer.from(line, 'latin1').toString('utf8') : line
}
