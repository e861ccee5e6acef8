/**
 * The logs: messages with Kong's levels, and a line per request. On a terminal, or with `log_format = text`, lines are for
 * people; else each is one JSON object. A `request_id` joins the two. What is secret never comes here: see `redactQuery`.
 */
import type { LogFile } from './log-file.ts'

export { openLogFile, type LogFile, type LogFileOptions } from './log-file.ts'

/** Kong's levels, least severe first. */
export const levels = ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg'] as const
export type Level = (typeof levels)[number]

export type LogFields = Readonly<Record<string, unknown>>

/** Writes a message with fields beside it, such as `request_id`; one below the log's level costs a comparison. */
export type LogMethod = (message: string, fields?: LogFields) => void
export type Log = { readonly [L in Level]: LogMethod } & {
  readonly isEnabled: (level: Level) => boolean
  readonly level: () => Level
  /** Changes the least severe level that is written, while running. */
  readonly setLevel: (level: Level) => void
}

export interface LogOptions {
  /** The least severe level that is written. */
  readonly level: Level
  readonly format: 'auto' | 'text' | 'json'
  /** The present time in ms. */
  readonly now?: () => number
}

const urgent: ReadonlySet<Level> = new Set(['crit', 'alert', 'emerg'])

/** Makes the log of messages. What is `crit` or worse is handed on at once, since the process may not live much longer. */
export function createLog(file: LogFile, { level, format, now = Date.now }: LogOptions): Log {
  const lineOf = isText(format, file) ? textLine : jsonLine
  let least = levels.indexOf(level)
  const methods = levels.map((name, index): [Level, LogMethod] => [
    name,
    (message, fields) => {
      if (index < least) return
      file.write(lineOf(now(), name, message, fields))
      if (urgent.has(name)) void file.flush()
    },
  ])
  return {
    ...(Object.fromEntries(methods) as Record<Level, LogMethod>),
    isEnabled: (name) => levels.indexOf(name) >= least,
    level: () => levels[least]!,
    setLevel: (name) => void (least = levels.indexOf(name)),
  }
}

/** What the access log holds of a request. */
export interface AccessEntry {
  /** When its first byte came, in ms since 1970. */
  readonly startMs: number
  readonly requestId: string
  readonly client: string
  readonly method: string
  /** As received, with what is secret in the query redacted. */
  readonly path: string
  readonly host: string
  readonly status: number
  /** Bytes of body sent to the client. */
  readonly bytes: number
  /** From the request's first byte to the answer's last. */
  readonly totalMs: number
  /** From the connection to the upstream to its head; undefined where none was asked. */
  readonly upstreamMs: number | undefined
  readonly route: string | undefined
  readonly service: string | undefined
  readonly consumer: string | undefined
  /** What plugins have added, by its name. */
  readonly more: ReadonlyMap<string, unknown> | undefined
}

/** Makes the function that turns a request into its line; chosen once, because it runs once per request. */
export function accessLineMaker(format: LogOptions['format'], file: LogFile): (entry: AccessEntry) => string {
  return isText(format, file) ? accessText : accessJson
}

/** What the log of the Admin API holds of a request. */
export interface AnsweredRequest {
  readonly method: string
  /** Such as `/services/{services}`: the path itself may hold a credential's key. Undefined where no endpoint was asked for. */
  readonly endpoint: string | undefined
  readonly status: number
  readonly durationMs: number
  readonly client: string
}

/** Makes the function that turns a request to the Admin API into its line. */
export function adminLineMaker(
  format: LogOptions['format'],
  file: LogFile,
  now: () => number = Date.now,
): (entry: AnsweredRequest) => string {
  const text = isText(format, file)
  return ({ client, method, endpoint = 'none', status, durationMs }) => {
    const [time, ms] = [timestamp(now()), Math.round(durationMs)]
    if (text) return `${time} ${client} ${escaped(method)} ${endpoint} ${status} ${ms}ms\n`
    return `${asJson({ time, client, method, endpoint, status, ms })}\n`
  }
}

/** The line for a log that dropped some, in the log's own form. */
export function droppedLineMaker(
  format: LogOptions['format'],
  isTerminal: boolean,
  now: () => number = Date.now,
): (count: number) => string {
  const lineOf = format === 'text' || (format === 'auto' && isTerminal) ? textLine : jsonLine
  return (count) =>
    lineOf(now(), 'warn', 'log lines were dropped because they could not be written fast enough', { dropped: count })
}

/** Whether a log's lines are for people. */
export const isText = (format: LogOptions['format'], file: LogFile): boolean =>
  format === 'text' || (format === 'auto' && file.isTerminal)

// Only what a client or an administrator has a free hand in can hold what JSON has to escape: methods and ids cannot.
function accessJson(entry: AccessEntry): string {
  const { requestId, client, method, path, host, status, bytes, totalMs, upstreamMs, route, service, consumer, more } =
    entry
  return (
    `{"time":"${timestamp(entry.startMs)}","request_id":"${requestId}","client":"${client}","method":"${method}"` +
    `,"host":"${escaped(host)}","path":"${escaped(path)}","status":${status},"bytes":${bytes},"ms":${totalMs}` +
    (upstreamMs === undefined ? '' : `,"upstream_ms":${upstreamMs}`) +
    (route === undefined ? '' : `,"route":"${route}"`) +
    (service === undefined ? '' : `,"service":"${service}"`) +
    (consumer === undefined ? '' : `,"consumer":"${escaped(consumer)}"`) +
    (more === undefined ? '' : moreJson(more)) +
    '}\n'
  )
}

function accessText(entry: AccessEntry): string {
  const { requestId, client, method, path, host, status, bytes, totalMs, upstreamMs, consumer, more } = entry
  const upstream = upstreamMs === undefined ? '' : ` upstream=${upstreamMs}ms`
  const who = consumer === undefined ? '' : ` consumer=${escaped(consumer)}`
  return `${timestamp(entry.startMs)} ${client} ${escaped(method)} ${escaped(host)}${escaped(path)} ${status} ${bytes}B ${totalMs}ms${upstream}${who}${more === undefined ? '' : shownFields(more)} ${requestId}\n`
}

function jsonLine(time: number, level: Level, message: string, fields?: LogFields): string {
  return `${asJson({ time: timestamp(time), level, message, ...fields })}\n`
}

function textLine(time: number, level: Level, message: string, fields: LogFields = {}): string {
  return `${timestamp(time)} [${level}] ${oneLine(message)}${shownFields(Object.entries(fields))}\n`
}

const moreJson = (more: ReadonlyMap<string, unknown>): string =>
  [...more].map(([name, value]) => `,"${escaped(name)}":${oneLine(asJson(value))}`).join('')

function shownFields(fields: Iterable<readonly [string, unknown]>): string {
  const given = [...fields].filter(([, value]) => value !== undefined)
  return oneLine(given.map(([name, value]) => ` ${name}=${fieldText(value)}`).join(''))
}

const fieldText = (value: unknown): string =>
  typeof value === 'string' && !/[\s"=]/.test(value) ? value : asJson(value)

// An error's own properties are hidden from JSON, and a log line is no place to fail in.
function asJson(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (_name, it: unknown) => (it instanceof Error ? (it.stack ?? it.message) : it)) ?? 'null'
    )
  } catch (error) {
    return JSON.stringify({ unprintable: String(error) })
  }
}

// A line must stay one line, and no text of a client's may steer the terminal it is read on.
const oneLine = (text: string): string => (unsafe.test(text) ? text.replace(unsafeAll, asEscape) : text)
const unsafe = /[\x00-\x1f\x7f-\x9f]/
const unsafeAll = new RegExp(unsafe.source, 'g')
const asEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

const special = /["\\\x00-\x1f\x7f-\x9f]/
const specialAll = new RegExp(special.source, 'g')

/** A text as it stands between JSON's quotes. */
const escaped = (text: string): string => (special.test(text) ? text.replace(specialAll, escapeOne) : text)
const escapeOne = (character: string): string =>
  character === '"' || character === '\\' ? `\\${character}` : asEscape(character)

let lastMs = -1
let lastText = ''
let lastSecond = -1
let lastPrefix = ''

/** ISO 8601 in UTC; what does not change within a second is made once in it, and the whole once in a millisecond. */
export function timestamp(ms: number): string {
  if (ms === lastMs) return lastText
  lastMs = ms
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastPrefix = new Date(second * 1000).toISOString().slice(0, 20)
  }
  return (lastText = `${lastPrefix}${String(Math.floor(ms) - second * 1000).padStart(3, '0')}Z`)
}

/** The path with the values of the named query arguments (given in lower case) replaced by `***`, whatever their name's case or encoding. */
export function redactQuery(pathWithQuery: string, names: ReadonlySet<string>): string {
  const mark = pathWithQuery.indexOf('?')
  if (mark === -1 || names.size === 0) return pathWithQuery
  const query = pathWithQuery.slice(mark + 1)
  const shown = query.split('&').map((argument) => {
    const equals = argument.indexOf('=')
    return equals !== -1 && isNamed(argument.slice(0, equals), names) ? `${argument.slice(0, equals)}=***` : argument
  })
  return `${pathWithQuery.slice(0, mark)}?${shown.join('&')}`
}

function isNamed(encoded: string, names: ReadonlySet<string>): boolean {
  const name = decoded(encoded).toLowerCase()
  // `jwt[]` and `jwt[0]` are other ways to write an argument called jwt.
  return names.has(name) || names.has(name.replace(/\[.*$/, ''))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
