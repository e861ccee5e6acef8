/**
 * The memory of verified tokens: a token that was verified once need not be verified again, only its times.
 *
 * Each plugin config has a space of its own, since a token verified under one config says nothing under another. All spaces
 * of a worker share one limit in bytes. They forget in generations: what is new or used goes into the young one; when that
 * has used half of the limit it becomes the old one, and what was in the old one and not used since is gone. So forgetting
 * costs no search, and a flood of tokens cannot push out those in use. Where tokens hardly ever come twice, only those that do
 * are remembered.
 */
import { chanceOf, ChanceSet } from './chance.ts'
import { createNewcomers } from './newcomers.ts'
import type { Signer } from './signers.ts'
import type { TimePolicy, Times } from './times.ts'

/** What is remembered of a verified token. That it is here says that its signature was right, not that it is valid now. */
export interface Remembered extends Times {
  readonly signer: Signer
  /** Which of its times are looked at. */
  readonly policy: TimePolicy
  /** About what it takes in memory beside what every token does, in bytes. */
  readonly extraBytes?: number
}

/** The tokens verified under one config. */
export interface TokenSpace {
  /** What is known of a token, while the credential and the consumer that it was verified with are still in force. */
  recall(token: string): Remembered | undefined
  remember(token: string, verified: Remembered): void
}

/** What is remembered now and what may be, in bytes, and how often a token was known and how often not. */
export interface TokenMemory {
  configure(options: { readonly bytes: number }): void
  use(): { readonly bytes: number; readonly limit: number; readonly hits: number; readonly misses: number }
  space(): TokenSpace
}

const MIB = 1024 * 1024

/** Longer tokens are verified every time: a few of them would take the room of thousands. */
const LONGEST = 4096

/** The memory in bytes of an entry beside its text: its place in the map, its objects, the text's header, two numbers. */
const ENTRY_BYTES = 280

/** A remembered token in its place. */
interface Kept {
  readonly space: Space
  readonly token: string
  readonly entry: Remembered
  /** Whether it was asked for since it came, or became young again. */
  used: boolean
}

type Tokens = Map<string, Kept>

/** Young tokens that were asked for last are found without hashing them: in one of so many places. */
const LATEST_PLACES = 16 * 1024

interface Space extends TokenSpace {
  young: Tokens
  old: Tokens
}

/** A memory of its own; the gateway has one for each worker. */
export function createTokenMemory(initialLimit = 64 * MIB): TokenMemory {
  let limit = initialLimit
  let generation = 0
  let youngBytes = 0
  let oldBytes = 0
  let hits = 0
  let misses = 0
  let [came, used] = [0, 0]
  const newcomers = createNewcomers()
  let youngSpaces = new Set<Space>()
  let oldSpaces = new Set<Space>()
  /** What has become young, and what had before: who is in neither is not looked for, which for a map means to hash it all. */
  let [youngChances, oldChances] = [new ChanceSet(), new ChanceSet()]
  /** All of them young, so that whoever is found here need not be made so. */
  const latest = Array.from<Kept | undefined>({ length: LATEST_PLACES })

  const insert = (kept: Kept, chance: number): void => {
    const { space, token, entry } = kept
    if (youngBytes + cost(token, entry) > limit / 2) turn()
    youngBytes += cost(token, entry)
    entry.signer.countedIn = generation
    kept.used = false
    came++
    space.young.set(token, kept)
    youngSpaces.add(space)
    youngChances.add(chance)
    latest[chance % LATEST_PLACES] = kept
  }

  /** A signer's own weight counts once in each generation, however many of its tokens are there. */
  const cost = (token: string, entry: Remembered): number =>
    own(token, entry) + (entry.signer.countedIn === generation ? 0 : entry.signer.bytes)

  const turn = (): void => {
    for (const space of oldSpaces) space.old = new Map()
    for (const space of youngSpaces) {
      space.old = space.young
      space.young = new Map()
    }
    oldSpaces = youngSpaces
    youngSpaces = new Set()
    oldBytes = youngBytes
    youngBytes = 0
    ;[youngChances, oldChances] = [oldChances, youngChances]
    youngChances.clear()
    latest.fill(undefined)
    newcomers.setStrict(used < came / 2)
    came = used = 0
    generation++
  }

  /** Looks where a token rarely is; one that is found is in use, and so becomes young again. */
  const recallOld = (space: Space, token: string, chance: number): Remembered | undefined => {
    const kept = oldChances.has(chance) ? space.old.get(token) : undefined
    if (kept === undefined) return undefined
    space.old.delete(token)
    oldBytes -= own(token, kept.entry)
    if (!isInForce(kept.entry.signer)) return undefined
    insert(kept, chance)
    return kept.entry
  }

  const recallIn = (space: Space, token: string): Remembered | undefined => {
    const chance = chanceOf(token)
    if (!youngChances.has(chance)) return recallOld(space, token, chance)
    const place = chance % LATEST_PLACES
    const last = latest[place]
    const kept = last?.space === space && last.token === token ? last : space.young.get(token)
    if (kept === undefined) return recallOld(space, token, chance)
    const { entry } = kept
    if (isInForce(entry.signer)) {
      latest[place] = kept
      if (!kept.used) used++
      kept.used = true
      return entry
    }
    if (last === kept) latest[place] = undefined
    space.young.delete(token)
    youngBytes -= own(token, entry)
    return undefined
  }

  const space = (): TokenSpace => {
    const space: Space = {
      young: new Map(),
      old: new Map(),
      recall(token) {
        const entry = token.length > LONGEST ? undefined : recallIn(space, token)
        if (entry === undefined) misses++
        else hits++
        return entry
      },
      remember(token, verified) {
        if (token.length > LONGEST || cost(token, verified) > limit / 2) return
        const chance = chanceOf(token)
        if (newcomers.mayStay(chance)) insert({ space, token: copyOf(token), entry: verified, used: false }, chance)
      },
    }
    return space
  }

  const configure = ({ bytes }: { readonly bytes: number }): void => {
    limit = bytes
    // Twice, so that both generations are empty and what is kept from now on fits the new limit.
    turn()
    turn()
  }

  return { configure, use: () => ({ bytes: youngBytes + oldBytes, limit, hits, misses }), space }
}

const own = (token: string, { extraBytes = 0 }: Remembered): number => token.length + ENTRY_BYTES + extraBytes

/** The memory that every jwt plugin of this worker shares. */
export const tokenMemory = createTokenMemory()

/** Sets how many bytes the verified tokens of all configs in this worker may take together (default 64 MiB; 0 for none). */
export function configureTokenMemory(options: { readonly bytes: number }): void {
  tokenMemory.configure(options)
}

function isInForce({ credential, consumer }: Signer): boolean {
  return credential.live && consumer.live
}

/**
 * A text of its own. What a request gives is often a slice, which would keep the whole head that it was cut from.
 * A verified token is ASCII, so a byte a character loses nothing.
 */
function copyOf(token: string): string {
  return Buffer.from(token, 'latin1').toString('latin1')
}
