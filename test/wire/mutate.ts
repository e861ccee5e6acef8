/** Makes new requests of known ones, as a fuzzer does: by chance, and the same for the same seed. */
import { requestCases } from './requests.ts'

/** Chance that can be repeated (mulberry32), another one for each run of a seed. Gives numbers from 0 up to, not including, `below`. */
export function chance(seed: number, run = 0): (below: number) => number {
  seed = (seed + Math.imul(run, 0x9e3779b1)) | 0
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below)
  }
}

export type Chance = ReturnType<typeof chance>

const seeds = requestCases.map(({ bytes }) => bytes).filter((bytes) => bytes.length < 2000)

/** What is put in: what ends, separates and frames. */
const tokens = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\0',
  '\x0b',
  '\x7f',
  '\xff',
  '0',
  '5',
  'f',
  '+',
  '-',
  '_',
  '"',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: a\r\n',
  'Connection: close\r\n',
  'chunked',
  'identity',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  'GET /y HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  '%0d%0a',
]

export const some = <T>(list: readonly T[], next: Chance): T => list[next(list.length)] as T

const mutations: readonly ((text: string, next: Chance) => string)[] = [
  function insert(text, next) {
    const at = next(text.length + 1)
    return text.slice(0, at) + some(tokens, next) + text.slice(at)
  },
  function remove(text, next) {
    const at = next(text.length)
    return text.slice(0, at) + text.slice(at + 1 + next(3))
  },
  function replace(text, next) {
    const at = next(text.length)
    return text.slice(0, at) + String.fromCharCode(next(256)) + text.slice(at + 1)
  },
  function repeatLine(text, next) {
    const lines = text.split('\r\n')
    const line = some(lines, next)
    lines.splice(next(lines.length), 0, line)
    return lines.join('\r\n')
  },
  function dropLine(text, next) {
    return text
      .split('\r\n')
      .toSpliced(next(text.split('\r\n').length), 1)
      .join('\r\n')
  },
  function changeCase(text, next) {
    const at = next(text.length)
    const char = text.charAt(at)
    return (
      text.slice(0, at) + (char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase()) + text.slice(at + 1)
    )
  },
  function join(text, next) {
    return text + some(seeds, next)
  },
  function splice(text, next) {
    const other = some(seeds, next)
    return text.slice(0, next(text.length)) + other.slice(next(other.length))
  },
  function swapEnds(text, next) {
    const [from, to] = some(
      [
        ['\r\n', '\n'],
        ['\r\n', '\r'],
        [': ', ':'],
        [': ', ' : '],
        ['-', '_'],
        ['\r\n', '\r\n '],
      ] as const,
      next,
    )
    const at = text.indexOf(from, next(text.length))
    return at < 0 ? text : text.slice(0, at) + to + text.slice(at + from.length)
  },
]

/** A request that nobody has written; one character a byte. */
export function mutated(next: Chance): string {
  let text = some(seeds, next)
  for (let left = 1 + next(4); left > 0; left--) text = some(mutations, next)(text, next)
  return text.replaceAll(/[^\x00-\xff]/g, '?')
}
