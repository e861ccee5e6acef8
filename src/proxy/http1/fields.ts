/**
 * The header fields that the gateway itself looks at, each with a number and a class, so that the parser can tell while it
 * scans a name what is to become of the line, and nobody compares names later.
 */

/** What becomes of a request's header line on its way to the upstream; each bit is one reason for dropping it. */
export const drop = {
  /** Never forwarded as it came: framing and routing of this hop (RFC 9110 7.6.1, RFC 9112 6). */
  hop: 1,
  /** Written anew by the gateway on the way to the upstream: Host, X-Forwarded-*, Via ... */
  rewritten: 2,
  /** Says who the client is: dropped when an authentication plugin has found out by itself. */
  identity: 4,
  /** Meant for the gateway alone: plugins do not find it among the headers either. */
  own: 8,
} as const

interface KnownField {
  readonly name: string
  readonly request: number
  /** Whether a response's line of this name is not forwarded as it came. */
  readonly response: boolean
  /** Whether a `Connection` header may not remove it (RFC 9110 7.6.1 leaves that to the proxy's judgement). */
  readonly guarded: boolean
}

const table = {
  host: [drop.rewritten, false, true],
  connection: [drop.hop, true, false],
  'content-length': [drop.hop, true, true],
  'transfer-encoding': [drop.hop, true, true],
  // Programs that read `_` as `-` (CGI and its heirs) would take these for the framing itself.
  content_length: [drop.hop, true, true],
  transfer_encoding: [drop.hop, true, true],
  'keep-alive': [drop.hop, true, false],
  'proxy-connection': [drop.hop, true, false],
  te: [drop.hop, true, false],
  upgrade: [drop.hop, true, false],
  'http2-settings': [drop.hop, false, false],
  expect: [drop.hop, false, false],
  trailer: [0, false, false],
  via: [drop.rewritten, true, true],
  authorization: [0, false, true],
  accept: [0, false, false],
  'content-type': [0, false, true],
  'content-encoding': [0, false, true],
  cookie: [0, false, true],
  'set-cookie': [0, false, true],
  server: [0, false, true],
  date: [0, false, true],
  'x-forwarded-for': [drop.rewritten, false, true],
  'x-forwarded-proto': [drop.rewritten, false, true],
  'x-forwarded-host': [drop.rewritten, false, true],
  'x-forwarded-port': [drop.rewritten, false, true],
  'x-forwarded-path': [drop.rewritten, false, true],
  'x-forwarded-prefix': [drop.rewritten, false, true],
  'x-real-ip': [drop.rewritten, false, true],
  'x-kong-request-id': [drop.rewritten, true, true],
  'x-kong-request-debug': [drop.rewritten | drop.own, false, true],
  'x-kong-request-debug-token': [drop.rewritten | drop.own, false, true],
  'x-kong-request-debug-log': [drop.rewritten | drop.own, false, true],
  'x-kong-upstream-latency': [0, true, true],
  'x-kong-proxy-latency': [0, true, true],
  'x-consumer-id': [drop.identity, false, true],
  'x-consumer-custom-id': [drop.identity, false, true],
  'x-consumer-username': [drop.identity, false, true],
  'x-consumer-groups': [drop.identity, false, true],
  'x-credential-identifier': [drop.identity, false, true],
  'x-credential-username': [drop.identity, false, true],
  'x-anonymous-consumer': [drop.identity, false, true],
  'x-authenticated-scope': [drop.identity, false, true],
  'x-authenticated-userid': [drop.identity, false, true],
  'x-authenticated-groups': [drop.identity, false, true],
} as const satisfies Record<string, readonly [request: number, response: boolean, guarded: boolean]>

type KnownName = keyof typeof table

/** Every known field; a field's id is its index here. Id 0 is "not known". */
export const known: readonly KnownField[] = [
  { name: '', request: 0, response: false, guarded: false },
  ...Object.entries(table).map(([name, [request, response, guarded]]) => ({ name, request, response, guarded })),
]

/** A known field's id. */
export const idOf = (name: KnownName): number => known.findIndex((field) => field.name === name)

const exactIds = new Map(
  known.flatMap(({ name, request }, id) => (id === 0 || request === drop.identity ? [] : [[name, id]])),
)

/** A known field's id where lines of this name, and no others, have it; else 0: names that tell identities are known in two spellings. */
export const exactId = (lowerName: string): number => exactIds.get(lowerName) ?? 0

export const requestDrop = Uint8Array.from(known, (field) => field.request)
export const responseDrop = Uint8Array.from(known, (field) => Number(field.response))
export const guarded = Uint8Array.from(known, (field) => Number(field.guarded))

/**
 * For each byte: its lower-case form if it may stand in a field name (RFC 9110 5.6.2 `token`), else 0.
 */
export const nameByte = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
  nameByte[char.charCodeAt(0)] = char.charCodeAt(0)
for (let byte = 0x41; byte <= 0x5a; byte++) nameByte[byte] = byte | 0x20

const dash = 0x2d
const underscore = 0x5f

/** One step of the hash by which a name is looked up; `_` counts as `-`, as many applications read it (CGI, WSGI, Rack). */
export const hashStep = (hash: number, lower: number): number =>
  (Math.imul(hash, 31) + (lower === underscore ? dash : lower)) | 0

const slots = 512
const bySlot = new Uint8Array(slots)
const nameBytes = known.map((field) => Buffer.from(field.name, 'latin1'))

const slotOf = (hash: number): number => (hash ^ (hash >>> 9) ^ (hash >>> 18)) & (slots - 1)
for (let id = 1; id < known.length; id++) {
  let hash = 0
  for (const byte of nameBytes[id] ?? []) hash = hashStep(hash, byte)
  let slot = slotOf(hash)
  while (bySlot[slot]) slot = (slot + 1) & (slots - 1)
  bySlot[slot] = id
}

/**
 * The id of the field whose name stands at `start..end` and hashes to `hash`; 0 where it is not known.
 * A name written with `_` for `-` is known only if it says who the client is: there it must not slip through.
 */
export function lookUp(bytes: Uint8Array, start: number, end: number, hash: number): number {
  for (let slot = slotOf(hash); ; slot = (slot + 1) & (slots - 1)) {
    const id = bySlot[slot] as number
    if (id === 0) return 0
    const likeness = compare(bytes, start, end, nameBytes[id] as Uint8Array)
    if (likeness === 2) return id
    if (likeness === 1 && requestDrop[id] === drop.identity) return id
  }
}

/** 2: the same name; 1: the same but for `_` where it has `-`; 0: another name. */
function compare(bytes: Uint8Array, start: number, end: number, name: Uint8Array): 0 | 1 | 2 {
  if (end - start !== name.length) return 0
  let likeness: 1 | 2 = 2
  for (let i = 0; i < name.length; i++) {
    const lower = nameByte[bytes[start + i] as number]
    if (lower === name[i]) continue
    if (lower !== underscore || name[i] !== dash) return 0
    likeness = 1
  }
  return likeness
}
