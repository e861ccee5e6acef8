import type { PageRequest } from '../store/store.ts'
import { invalidOffset, invalidOption, invalidSize, type Answer } from './answers.ts'

const DEFAULT_SIZE = 100
const MAX_SIZE = 1000
const MAX_TAGS = 5

const NUMBER = /^\s*[+-]?(?:0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i

/** A text as the number that Lua's `tonumber` makes of it, as Kong reads sizes and forms; undefined where it is none. */
export function luaNumber(text: string): number | undefined {
  const number = NUMBER.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}

export type PageArguments = { readonly request: PageRequest } | { readonly refusal: Answer }

/** Reads `size`, `offset` and `tags`; `readOffset` knows the offsets of the collection. */
export function pageArguments(query: URLSearchParams, readOffset: (text: string) => string | Answer): PageArguments {
  const size = sizeOf(query)
  if (typeof size !== 'number') return { refusal: size }
  const text = query.get('offset')
  const offset = text === null ? undefined : readOffset(text)
  if (offset !== undefined && typeof offset !== 'string') return { refusal: offset }
  const tags = tagsOf(query)
  if (tags && 'status' in tags) return { refusal: tags }
  return { request: { size, ...(offset !== undefined && { offset }), ...(tags && { tags }) } }
}

/** The opaque text that clients carry from one page to the next. */
export const encodeOffset = (offset: string): string => Buffer.from(JSON.stringify([offset])).toString('base64url')

function sizeOf(query: URLSearchParams): number | Answer {
  const given = query.getAll('size')
  if (given.length === 0) return DEFAULT_SIZE
  const size = given.length > 1 ? undefined : luaNumber(given[0] ?? '')
  if (size === undefined) return invalidSize('size must be a number')
  if (Number.isInteger(size) && size >= 1 && size <= MAX_SIZE) return size
  return invalidSize(`size must be an integer between 1 and ${MAX_SIZE}`)
}

/** Reads what `encodeOffset` wrote; `isOffset` says whether it can have come from this collection. */
export const encodedOffset =
  (isOffset: (offset: string) => boolean) =>
  (text: string): string | Answer => {
    if (!/^[A-Za-z0-9_+/-]*={0,2}$/.test(text) || text.replaceAll('=', '').length % 4 === 1) {
      return invalidOffset(text, 'bad base64 encoding')
    }
    const [offset, ...rest] = parsedOffset(text)
    if (typeof offset !== 'string' || rest.length > 0) return invalidOffset(text, 'bad json encoding')
    return isOffset(offset) ? offset : invalidOffset(text, 'invalid primary key')
  }

function parsedOffset(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

/** `a,b` is all of them, `a/b` any; both in one is an error. */
function tagsOf(query: URLSearchParams): NonNullable<PageRequest['tags']> | Answer | undefined {
  const text = query.get('tags')
  if (text === null) return undefined
  if (text === '') return invalidOption('tags', 'cannot be null')
  const any = text.includes('/')
  if ((any && text.includes(',')) || /^[,/]|[\u0000-\u001f\ufffd]/.test(text)) {
    return invalidOption('tags', 'invalid filter syntax')
  }
  const names = text.split(any ? '/' : ',')
  if (names.length > MAX_TAGS) return invalidOption('tags', `cannot query more than ${MAX_TAGS} tags`)
  return { names, match: any ? 'any' : 'all' }
}
