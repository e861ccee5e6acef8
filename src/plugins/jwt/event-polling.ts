/**
 * Streams of events that issuers are asked for, once for all workers of a node. An issuer holds a request until there is something to
 * tell, so that it is in force as fast as if it had been pushed; what was taken is told with the next request.
 * Source: RFC 8936 sections 2 and 3.
 */
import { backOffMs } from '../../pdk/back-off.ts'
import type { Entities, Entity } from '../../pdk/entities.ts'
import type { Document } from './document.ts'
import type { KeyFetching } from './key-fetching.ts'
import { createKeySets } from './key-sets.ts'
import type { Config } from './ready.ts'
import { type PolledTake, polledTakerOf } from './security-events.ts'
import { isObject } from './token.ts'

export interface EventPolling {
  /** Asks from now on for the streams that these plugins name, and no others. */
  follow(plugins: Iterable<Entity>): void
  close(): void
}

export interface PollRequest {
  readonly authorization: string | undefined
  readonly body: object
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface Surroundings {
  /** Sends a JSON object; rejects where the answer is no JSON, does not come in time, or the request is called off. */
  readonly post: (url: string, request: PollRequest) => Promise<Document>
  readonly entities: Entities
  readonly keys: Pick<KeyFetching, 'follow' | 'ask' | 'onChange'>
  readonly warn: (text: string) => void
}

/** How long an issuer may hold a request. */
const longestWaitMs = 60_000
/** The pause where an issuer does not hold requests, or where what it told could not be written. */
const pauseMs = 1_000
const pauses = { firstMs: pauseMs, longestMs: 60_000 }
const mostEvents = 100

/** What is told with the next request: what was taken, and what was not and why. */
interface Report {
  readonly ack: readonly string[]
  readonly setErrs: Readonly<Record<string, object>>
}

const nothing: Report = { ack: [], setErrs: {} }

interface Stream {
  readonly endpoint: string
  readonly authorization?: string | undefined
}

export function createEventPolling({ post, entities, keys, warn }: Surroundings): EventPolling {
  const following = new Map<string, () => void>()
  const keySets = createKeySets(keys)
  keys.onChange(keySets.adopt)

  const begin = ({ endpoint, authorization }: Stream, take: PolledTake): (() => void) => {
    const end = new AbortController()
    const { signal } = end
    let failures = 0
    let timer: NodeJS.Timeout | undefined
    const next = (ms: number, report: Report): void => {
      if (!signal.aborted) timer = setTimeout(() => void poll(report), ms).unref()
    }
    const poll = async (report: Report): Promise<void> => {
      const began = performance.now()
      const body = { maxEvents: mostEvents, returnImmediately: false, ...report }
      const request = { authorization, body, timeoutMs: longestWaitMs, signal }
      const answer = await post(endpoint, request).catch((error: Error) => error)
      if (signal.aborted) return
      if (answer instanceof Error) {
        // Nothing happened for so long.
        if (performance.now() - began >= longestWaitMs) return next(0, nothing)
        if (failures === 0) warn(`cannot ask for events at ${endpoint}: ${answer.message}`)
        failures++
        return next(backOffMs(failures, pauses), report)
      }
      failures = 0
      const tokens = tokensIn(answer.value)
      const told = await takeAll(tokens, take)
      const isAll = told.ack.length + Object.keys(told.setErrs).length === tokens.length
      next(tokens.length > 0 && isAll ? 0 : pauseMs, told)
    }
    next(0, nothing)
    return () => {
      end.abort()
      clearTimeout(timer)
    }
  }

  /** Those that cannot be written are not told of, and so come again. */
  const takeAll = async (tokens: readonly (readonly [jti: string, text: string])[], take: PolledTake) => {
    const ack: string[] = []
    const setErrs = new Map<string, object>()
    for (const [jti, text] of tokens) {
      const outcome = await take(text, entities, Math.floor(Date.now() / 1000))
      if (outcome === 'taken') ack.push(jti)
      else if (typeof outcome === 'object') setErrs.set(jti, outcome)
    }
    return { ack, setErrs: Object.fromEntries(setErrs) }
  }

  return {
    follow(plugins) {
      const wanted = new Map(wantedStreams(plugins))
      for (const [name, end] of following) {
        if (wanted.has(name)) continue
        end()
        following.delete(name)
      }
      for (const [name, { stream, config }] of wanted) {
        const take = following.has(name) ? undefined : polledTakerOf(config, keySets.of)
        if (take) following.set(name, begin(stream, take))
      }
    },
    close() {
      for (const end of following.values()) end()
      following.clear()
    },
  }
}

/** The streams of all plugins in use, by all that they depend on. */
function wantedStreams(plugins: Iterable<Entity>): [string, { readonly stream: Stream; readonly config: Config }][] {
  return [...plugins].flatMap(({ name, enabled, config: given }) => {
    const config = given as Config
    if (name !== 'jwt' || enabled === false) return []
    const { security_events: events, issuers, leeway } = config
    return (events?.streams ?? []).map((stream): [string, { stream: Stream; config: Config }] => [
      JSON.stringify([stream, events, issuers, leeway]),
      { stream, config },
    ])
  })
}

/** RFC 8936 2.3: tokens by their names; nothing where the answer is none. */
function tokensIn(answer: unknown): [string, string][] {
  const sets = isObject(answer) ? answer['sets'] : undefined
  const entries = isObject(sets) ? Object.entries(sets) : []
  return entries
    .flatMap(([jti, text]): [string, string][] => (typeof text === 'string' ? [[jti, text]] : []))
    .slice(0, mostEvents)
}
