/** Why the plugin says 401: every reason with the step that found it and Kong's words for it. */

/** The steps from a request to an identity (of `claims`, see `rules.ts`), in the order in which they are taken; the first that fails gives the answer. */
export const steps = [
  'find',
  'decode',
  'credential',
  'algorithm',
  'signature',
  'consumer',
  'claims',
  'times',
  'revocation',
] as const
export type Step = (typeof steps)[number]

interface Reason {
  readonly step: Step
  /** The answer's text; `claim` is the config's `key_claim_name`. */
  readonly message: (claim: string) => string
}

/** The reasons by name, all but those of the claims and the times, which have bodies of their own. */
export const refusals = {
  'no token': reason('find', 'Unauthorized'),
  'several tokens': reason('find', 'Multiple tokens provided'),
  'query flag': reason('find', 'Unrecognizable token'),
  'too long': reason('decode', 'Bad token; too long'),
  'not JSON': reason('decode', 'Bad token; invalid JSON'),
  'bad alg': reason('decode', 'Bad token; invalid alg'),
  'no claims': reason('decode', 'Bad token; invalid claims'),
  'bad signature text': reason('decode', 'Bad token; invalid signature'),
  'critical extension': reason('decode', 'Bad token; invalid crit'),
  'no key': { step: 'credential', message: (claim) => `No mandatory '${claim}' in claims` },
  'bad key': { step: 'credential', message: (claim) => `Invalid '${claim}' in claims` },
  'unknown key': { step: 'credential', message: (claim) => `No credentials found for given '${claim}'` },
  'unknown signing key': reason('credential', 'No key found for the token'),
  'too many signing keys': reason('credential', 'No key found for the token'),
  'other algorithm': reason('algorithm', 'Invalid algorithm'),
  'unusable key material': reason('algorithm', 'Invalid key/secret'),
  'key of another kind': reason('algorithm', 'Invalid signature'),
  'bad signature': reason('signature', 'Invalid signature'),
  'no consumer': { step: 'consumer', message: (claim) => `Could not find consumer for the given '${claim}'` },
} as const satisfies Record<string, Reason>

export type Refusal = keyof typeof refusals

function reason(step: Step, text: string): Reason {
  return { step, message: () => text }
}
