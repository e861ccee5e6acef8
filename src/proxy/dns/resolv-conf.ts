import { readFileSync } from 'node:fs'

/** What resolv.conf says beside the name servers, which Node's resolver reads by itself. */
export interface ResolvConf {
  /** Domains that a short name is tried with. */
  readonly search: readonly string[]
  /** A name with at least so many dots is tried as it is first, then with the domains; with fewer, the other way round. */
  readonly ndots: number
  /** How long one try waits. */
  readonly timeoutMs: number
  readonly tries: number
}

/** Reads a resolv.conf; a file that cannot be read gives the defaults. */
export function readResolvConf(file: string): ResolvConf {
  try {
    return parseResolvConf(readFileSync(file, 'utf8'))
  } catch {
    return parseResolvConf('')
  }
}

/** As `readResolvConf`, from the file's text: the last `search` or `domain` counts. Source: resolv.conf(5). */
export function parseResolvConf(text: string): ResolvConf {
  let search: string[] = []
  const options = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    if (keyword === 'search' || keyword === 'domain') search = values
    if (keyword === 'options') for (const value of values) readOption(value, options)
  }
  return {
    search: search.map((domain) => domain.replace(/^\.|\.$/g, '')).filter((domain) => domain !== ''),
    ndots: Math.min(options.get('ndots') ?? 1, 15),
    timeoutMs: Math.max(1, Math.min(options.get('timeout') ?? 2, 30)) * 1000,
    tries: Math.max(1, Math.min(options.get('attempts') ?? 3, 5)),
  }
}

function readOption(option: string, into: Map<string, number>): void {
  const [name = '', value = ''] = option.split(':')
  if (/^\d+$/.test(value)) into.set(name, Number(value))
}

/** The full names that a name may stand for, in the order they are to be asked for. */
export function candidates(name: string, { search, ndots }: Pick<ResolvConf, 'search' | 'ndots'>): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)]
  const longer = search.map((domain) => `${name}.${domain}`)
  const dots = name.split('.').length - 1
  return dots >= ndots ? [name, ...longer] : [...longer, name]
}
