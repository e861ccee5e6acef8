/**
 * Whether the time of a comparison tells where two secrets differ: `node bench/timing.ts [SAMPLES]`.
 *
 * As dudect does (Reparaz, Balasch and Verbauwhede 2017): the same code is given inputs of two classes in an order made by chance,
 * each run is timed, and Welch's t tells whether the means differ. Times beyond a percentile, where something else ran, are
 * dropped, at several percentiles; the largest |t| counts. Beyond 4.5 the classes can be told apart. The first row is a comparison
 * that stops at the first difference: where the method does not find that one, it says nothing of the others.
 */
import { createSecretKey, randomBytes, randomInt } from 'node:crypto'
import { sameSecret } from '../src/pdk/secrets.ts'
import { passwordHash } from '../src/plugins/basic-auth/credentials.ts'
import { algorithms } from '../src/plugins/jwt/algorithms.ts'
import { createTokenMemory, type Remembered } from '../src/plugins/jwt/tokens.ts'
import { isSameText } from '../src/store/admin-tokens.ts'
import { welchT } from './welch.ts'

const samples = Number(process.argv[2] ?? 100_000)
/** Calls that are timed together, since one takes hardly longer than the clock is fine. */
const together = 16
const inputsOfClass = 64
const percentiles = [0.5, 0.75, 0.9, 0.95, 0.99]
const suspicious = 4.5

interface Subject {
  readonly name: string
  /** What the two classes differ in. */
  readonly classes: string
  /** A wrong input of a class. */
  readonly wrong: (ofSecondClass: boolean) => Buffer
  /** Puts an input where `run` finds it, which is the same place or a new one for every input: places have times of their own. */
  readonly place: (input: Buffer) => void
  readonly run: () => unknown
}

const firstOrLast = 'first or last byte'

const bytesOfAllKinds = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
const hexadecimal = Buffer.from('0123456789abcdef')

/** What differs from the secret in the first byte, or else in the last one, which is another of those that there may be. */
const differing =
  (secret: Buffer, alphabet: Buffer) =>
  (inLast: boolean): Buffer => {
    const wrong = Buffer.from(secret)
    const at = inLast ? wrong.length - 1 : 0
    const others = alphabet.filter((byte) => byte !== wrong[at])
    wrong[at] = others[randomInt(others.length)]!
    return wrong
  }

function stopsEarly(one: Buffer, other: Buffer): boolean {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false
  return true
}

function ofBytes(name: string, secret: Buffer, same: (given: Buffer) => boolean): Subject {
  const given = Buffer.alloc(secret.length)
  return {
    name,
    classes: firstOrLast,
    wrong: differing(secret, bytesOfAllKinds),
    place: (input) => given.set(input),
    run: () => same(given),
  }
}

function ofTexts(name: string, secret: string, same: (given: string) => unknown): Subject {
  let given = ''
  return {
    name,
    classes: firstOrLast,
    wrong: differing(Buffer.from(secret), hexadecimal),
    place: (input) => void (given = input.toString('latin1')),
    run: () => same(given),
  }
}

function ofSignatures(alg: 'HS256' | 'HS512'): Subject {
  const { sign, verifier } = algorithms.get(alg)!
  const key = createSecretKey(randomBytes(64))
  const verify = verifier(key)
  const signed = randomBytes(75).toString('hex')
  return ofBytes(`jwt: signature, ${alg}`, sign(signed, key), (given) => verify(signed, given))
}

/** A token that is remembered, asked for with another signature. */
function ofMemory(): Subject {
  const space = createTokenMemory().space()
  const head = `${randomBytes(40).toString('hex')}.${randomBytes(60).toString('hex')}.`
  const signature = randomBytes(32).toString('hex')
  const live = { entity: { id: '' }, live: true }
  const signer = { credential: live, consumer: live, bytes: 0, countedIn: -1 } as unknown as Remembered['signer']
  const policy = { exp: false, nbf: false, maximumExpiration: 0, leeway: 0, any: false }
  for (let again = 0; again < 3; again++) space.remember(head + signature, { exp: NaN, nbf: NaN, signer, policy })
  const wrongSignature = differing(Buffer.from(signature), hexadecimal)
  return {
    ...ofTexts('jwt: memory of verified tokens', signature, (given) => space.recall(given)),
    classes: 'first or last byte of the signature',
    wrong: (inLast) => Buffer.concat([Buffer.from(head), wrongSignature(inLast)]),
  }
}

function ofLengths(): Subject {
  const secret = randomBytes(32)
  const [right, longer] = [Buffer.alloc(32), Buffer.alloc(64)]
  let given = right
  return {
    name: 'sameSecret, 32 bytes',
    classes: 'right or wrong length',
    wrong: (isLonger) => randomBytes(isLonger ? 64 : 32),
    place: (input) => {
      given = input.length === 32 ? right : longer
      given.set(input)
    },
    run: () => sameSecret(given, secret),
  }
}

const bytes = randomBytes(64)
const text = randomBytes(32).toString('hex')
const hashed = passwordHash('password', 'consumer')
const subjects: readonly Subject[] = [
  ofBytes('control: stops at the first difference', bytes, (given) => stopsEarly(given, bytes)),
  ofBytes('sameSecret, 64 bytes', bytes, (given) => sameSecret(given, bytes)),
  ofTexts('sameSecret, text of 64', text, (given) => sameSecret(given, text)),
  ofTexts('basic-auth: hash of a password', hashed, (given) => sameSecret(given, hashed)),
  ofTexts('Admin API: token', text, (given) => isSameText(given, text)),
  ofSignatures('HS256'),
  ofSignatures('HS512'),
  ofMemory(),
  ofLengths(),
]

/** The largest |t| over the percentiles at which times are cut off, and the difference of the medians, in ns a call. */
function measure({ wrong, place, run }: Subject): { readonly t: number; readonly difference: number } {
  const inputs = [false, true].map((second) => Array.from({ length: inputsOfClass }, () => wrong(second)))
  const order = Array.from(randomBytes(samples), (byte) => ({ second: (byte & 1) === 1, at: byte >> 2 }))
  const times: { readonly second: boolean; readonly ns: number }[] = []
  for (const { second, at } of order) {
    place(inputs[second ? 1 : 0]![at % inputsOfClass]!)
    const start = process.hrtime.bigint()
    for (let call = 0; call < together; call++) run()
    times.push({ second, ns: Number(process.hrtime.bigint() - start) / together })
  }
  // The first tenth is compiled while it runs.
  const steady = times.slice(samples / 10)
  const sorted = steady.map(({ ns }) => ns).toSorted((a, b) => a - b)
  const below = (bound: number, ofSecond: boolean) =>
    steady.filter(({ second, ns }) => second === ofSecond && ns <= bound).map(({ ns }) => ns)
  const ts = percentiles.map((part) => {
    const bound = sorted[Math.floor(part * sorted.length)]!
    return Math.abs(welchT(below(bound, false), below(bound, true)))
  })
  const median = (ofSecond: boolean) => {
    const own = below(Infinity, ofSecond).toSorted((a, b) => a - b)
    return own[Math.floor(own.length / 2)]!
  }
  return { t: Math.max(...ts.filter(Number.isFinite)), difference: median(true) - median(false) }
}

console.log(`${samples} times ${together} calls each; |t| beyond ${suspicious} tells the classes apart\n`)
console.log(`| what is compared | where it differs | \\|t\\| | difference of the medians, ns | told apart |`)
console.log('| --- | --- | ---: | ---: | --- |')
for (const subject of subjects) {
  const { t, difference } = measure(subject)
  const told = t > suspicious ? 'yes' : 'no'
  console.log(`| ${subject.name} | ${subject.classes} | ${t.toFixed(1)} | ${difference.toFixed(1)} | ${told} |`)
}
