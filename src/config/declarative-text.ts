import { type Position, type TextMistake, parseYaml, positionAt, yamlLimits } from './yaml.ts'

export type TextFormat = 'yaml' | 'json' | 'auto'

export interface TextLimits {
  /** The longest text that is read at all, in characters. */
  readonly length: number
  /** How deep lists and maps may stand in one another. */
  readonly depth: number
  /** How many nodes all YAML aliases together may stand for. */
  readonly aliasedNodes: number
}

/** A million entities fit; what is larger belongs into the store by other ways. */
export const textLimits: TextLimits = { length: 256 * 1024 * 1024, ...yamlLimits }

export type ReadText =
  | { readonly ok: true; readonly value: Record<string, unknown> | readonly unknown[] }
  | { readonly ok: false; readonly mistakes: readonly TextMistake[] }

/** Reads a configuration's text into plain data; `auto` takes it for JSON where it parses as that, and for YAML elsewhere, as Kong does. */
export function readText(text: string, format: TextFormat, limits: TextLimits): ReadText {
  if (text.length > limits.length) return refused(`longer than ${limits.length} characters`)
  const read = readers[format](text.startsWith('\uFEFF') ? text.slice(1) : text, limits)
  if (!read.ok) return read
  const { value } = read
  if (typeof value !== 'object' || value === null) return refused('expected an object')
  if (isDeeperThan(value, limits.depth)) return refused(`nested more than ${limits.depth} levels deep`)
  return { ok: true, value: value as Record<string, unknown> | unknown[] }
}

/** Whether data nests deeper than `depth` levels; whatever recurses through it later is safe where it does not. */
export function isDeeperThan(value: object, depth: number): boolean {
  let level: object[] = [value]
  for (let left = depth; level.length > 0; left--) {
    if (left === 0) return true
    const below: object[] = []
    for (const each of level) {
      for (const child of Object.values(each) as unknown[])
        if (typeof child === 'object' && child !== null) below.push(child)
    }
    level = below
  }
  return false
}

type Reader = (text: string, limits: TextLimits) => ReturnType<typeof parseYaml>

const readers: { readonly [format in TextFormat]: Reader } = {
  json: readJson,
  yaml: parseYaml,
  auto: (text, limits) => {
    const json = /^\s*[[{]/.test(text) ? readJson(text) : undefined
    return json?.ok ? json : parseYaml(text, limits)
  },
}

function readJson(text: string): ReturnType<typeof parseYaml> {
  try {
    return { ok: true, value: JSON.parse(text) as unknown }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, mistakes: [{ ...placeOfJsonError(text, message), message: withoutQuotedText(message) }] }
  }
}

function placeOfJsonError(text: string, message: string): Position {
  const offset = /at position (\d+)/.exec(message)?.[1]
  return positionAt(text, offset === undefined ? text.length : Number(offset))
}

/** The engine's message may quote the text around the error, and so a secret. */
const withoutQuotedText = (message: string): string =>
  message.replace(/, (?:\.\.\.)?".*$/s, '').replace(/ in JSON at position.*$/s, '')

const refused = (message: string): ReadText => ({ ok: false, mistakes: [{ line: 1, column: 1, message }] })
