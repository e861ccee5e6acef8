/**
 * The jwt plugin: a request is let through when it carries a signed token of a Consumer's credential.
 * Source: Kong's docs, "JWT"; RFC 7519, RFC 7515, RFC 6750.
 */
import { authenticate } from '../../pdk/authentication.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Outcome, type Plugin } from '../../pdk/plugin.ts'
import { attemptExtended, dropClaimHeaders } from './extension.ts'
import { findToken, several, type Found } from './locations.ts'
import { observe } from './observing.ts'
import { odditiesOf, prepare, type Config, type Ready } from './ready.ts'
import type { Refusal } from './refusals.ts'
import { signerOf } from './signers.ts'
import { timeFault } from './times.ts'
import { tokenMemory, type Remembered, type TokenMemory } from './tokens.ts'
import { timesFor, type Verified, verifyToken } from './verification.ts'

/** What the plugin takes from outside: the clock in whole seconds since 1970, and the memory of verified tokens. */
export interface Surroundings {
  readonly now?: () => number
  readonly memory?: TokenMemory
}

const wholeSeconds = () => Math.floor(Date.now() / 1000)

/** The plugin with a clock and a memory of one's own. */
export function createJwt({ now = wholeSeconds, memory = tokenMemory }: Surroundings = {}): Plugin<Config, Ready> {
  return definePlugin<Config, Ready>({
    version: '3.10.0',
    priority: 1450,
    prepare(config, { id, warn }) {
      for (const oddity of odditiesOf(config)) warn?.(oddity)
      return prepare(config, id, { memory, now })
    },
    access(kong, ready) {
      if (ready.events?.isFor(kong.request)) return ready.events.receive(kong, ready.now())
      if (ready.extension) dropClaimHeaders(kong, ready.extension)
      if (!ready.runsOnPreflight && kong.request.get_method() === 'OPTIONS') return undefined
      return authenticate(kong, ready, attempt)
    },
    documents: ({ documents }) => documents,
    asksForCertificate: ({ extension, tried }) => (tried?.extension ?? extension)?.certificateBound !== undefined,
  })
}

export default createJwt()

/** Identifies the request by its token, or gives the answer that refuses it; tries beside that what is only observed. */
function attempt(kong: AccessKong, ready: Ready): Outcome {
  const outcome = judge(kong, ready)
  return ready.tried === undefined ? outcome : observe(kong, ready, ready.tried, outcome, judge)
}

function judge(kong: AccessKong, ready: Ready): Outcome {
  const token = findToken(kong.request, ready.locations)
  if (typeof token !== 'string') return ready.answers[refusalOf(token)]
  if (ready.extension !== undefined) return attemptExtended(kong, ready, ready.extension, token)
  const verified = ready.tokens.recall(token) ?? verify(kong, ready, token)
  if (verified instanceof Promise) return verified.then((late) => conclude(kong, ready, late))
  return conclude(kong, ready, verified)
}

const conclude = (kong: AccessKong, ready: Ready, verified: Remembered | Refusal): Answer | undefined =>
  typeof verified === 'string' ? ready.answers[verified] : admit(kong, ready, verified)

function refusalOf(found: Exclude<Found, string>): Refusal {
  if (found === undefined) return 'no token'
  return found === several ? 'several tokens' : 'query flag'
}

/** A right signature is remembered before the times are looked at: they are looked at again whenever it is recalled. */
function verify(kong: AccessKong, ready: Ready, token: string): Remembered | Refusal | Promise<Remembered | Refusal> {
  const verified = verifyToken(kong.entities, ready.policy, token)
  if (verified instanceof Promise) return verified.then((late) => remember(ready, token, late))
  return remember(ready, token, verified)
}

function remember(ready: Ready, token: string, verified: Verified | Refusal): Remembered | Refusal {
  if (typeof verified === 'string') return verified
  const { credential, consumer, times } = verified
  const signer = signerOf(credential, consumer)
  const remembered = { exp: times.exp, nbf: times.nbf, signer, policy: timesFor(ready.times, verified) }
  ready.tokens.remember(token, remembered)
  return remembered
}

/** The last word on every token, verified just now or long ago: its times. */
function admit(kong: AccessKong, ready: Ready, token: Remembered): Answer | undefined {
  const { policy } = token
  const fault = policy.any ? timeFault(policy, token, ready.now()) : 0
  if (fault !== 0) return ready.timeAnswers[fault]
  kong.client.authenticate(token.signer.identity)
  return undefined
}
