/**
 * `mode: observe`: Kong's fields are in force, and each request is tried by the whole config as well, on a copy of which nothing
 * comes. Where the two differ it is counted, so that one sees who would be refused, or let in, before anyone is.
 */
import type { Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer, Client } from '../../pdk/kong.ts'
import type { Outcome } from '../../pdk/plugin.ts'
import { countObserved } from './observed.ts'
import type { Ready } from './ready.ts'

type Judge = (kong: AccessKong, ready: Ready) => Outcome
type Refusal = Answer | undefined | void

/** Gives `outcome`, what is in force says, and has the request judged by `tried`. Nobody waits for that. */
export function observe(kong: AccessKong, ready: Ready, tried: Ready, outcome: Outcome, judge: Judge): Outcome {
  if (outcome instanceof Promise) return outcome.then((late) => compare(kong, ready, tried, late, judge))
  return compare(kong, ready, tried, outcome, judge)
}

function compare(kong: AccessKong, ready: Ready, tried: Ready, refusal: Refusal, judge: Judge): Refusal {
  const trial = trialOf(kong)
  // As it is now: another plugin may say otherwise by the time at which the trial ends.
  const identity = kong.client.get_identity()
  const tell = (triedRefusal: Refusal) =>
    note(kong, ready, { refusal, identity }, { refusal: triedRefusal, identity: trial.client.identity })
  const fail = (error: unknown) => kong.log.err(`jwt could not observe a request: ${String(error)}`)
  try {
    const outcome = judge(trial, tried)
    if (outcome instanceof Promise) void outcome.then(tell).catch(fail)
    else tell(outcome)
  } catch (error) {
    fail(error)
  }
  return refusal
}

interface Verdict {
  readonly refusal: Refusal
  readonly identity: Identity | undefined
}

/** Counts what was found on trial where that is not what became of the request. */
function note({ log }: AccessKong, { plugin, anonymous }: Ready, became: Verdict, tried: Verdict): void {
  if (tried.refusal) {
    if (became.refusal && anonymous === null) return
    const name = became.refusal ? anonymous : nameIn(became.identity)
    const { reason = '' } = tried.refusal
    countObserved({ plugin, verdict: 'refuse', reason, consumer: name ?? '' })
    log.info(`jwt would refuse a token of ${JSON.stringify(name)}: ${reason}`)
  } else if (became.refusal) {
    const name = nameIn(tried.identity)
    countObserved({ plugin, verdict: 'admit', reason: became.refusal.reason ?? '', consumer: name ?? '' })
    log.info(`jwt would let in a token of ${JSON.stringify(name)}`)
  }
}

function nameIn(identity: Identity | undefined): string | undefined {
  const consumer = identity?.consumer
  if (!consumer) return undefined
  const { username, id } = consumer
  return typeof username === 'string' ? username : id
}

/** The same request, of which is kept apart whom it is found to be; nothing else is done to it, since `tried` has no field that does. */
const trialOf = (kong: AccessKong): AccessKong & { readonly client: TrialClient } => ({
  request: kong.request,
  client: new TrialClient(kong.client),
  ip: kong.ip,
  router: kong.router,
  log: kong.log,
  entities: kong.entities,
  ctx: { shared: {} },
  service: kong.service,
  response: kong.response,
})

class TrialClient implements Client {
  readonly #client: Client
  identity: Identity | undefined

  constructor(client: Client) {
    this.#client = client
  }

  authenticate(identity: Identity): void {
    this.identity = identity
  }

  get_ip(): string {
    return this.#client.get_ip()
  }

  get_forwarded_ip(): string {
    return this.#client.get_forwarded_ip()
  }

  get_port(): number {
    return this.#client.get_port()
  }

  get_certificate(): Buffer | undefined {
    return this.#client.get_certificate()
  }

  get_consumer(): Identity['consumer'] {
    return this.identity?.consumer ?? null
  }

  get_credential(): Identity['credential'] {
    return this.identity?.credential ?? null
  }

  get_identity(): Identity | undefined {
    return this.identity
  }
}
