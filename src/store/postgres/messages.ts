/** What the main thread and the thread that writes the local copy say to each other. */
import type { KindIndex } from '../kinds.ts'
import type { Part } from '../sqlite/parts.ts'
import type { Change, Operation, Written } from '../store.ts'

/** The named value in which the copy keeps the stamp of its last change. */
export const stampName = '@followed'

/** What the copy's thread is started with. */
export interface CopyData {
  readonly file: string
  readonly kinds: readonly KindIndex[]
  /** How many changes the log keeps. */
  readonly keep: number
}

/** An entity as the shared store has it now; `body` is null where it is gone. */
export interface Fed {
  readonly kind: string
  readonly id: string
  readonly body: string | null
  /** ms since 1970, by this machine's clock. */
  readonly expiresAt: number | null
}

/** A change of the shared log with what its entity is now. A log that was set right has entries that are about no entity. */
export interface FedChange extends Fed, Change {}

/** An operation as it is sent: a content as the texts of its entities. */
export type SentOperation =
  | Exclude<Operation, { do: 'replace-all' }>
  | { readonly do: 'replace-all'; readonly parts: readonly Part[] }

export type ToCopy =
  /** Opens a transaction to follow the log in, in any number of steps; `commit`, the last one's stamp, ends it at once. */
  | { readonly do: 'follow'; readonly changes: readonly FedChange[]; readonly commit?: string }
  /** Opens a transaction in which everything is forgotten. */
  | { readonly do: 'forget' }
  /** Everything there is, in any number of steps. */
  | { readonly do: 'copy'; readonly entities: readonly Fed[] }
  /** Puts what was copied in order, as the content of a revision. */
  | { readonly do: 'finish'; readonly revision: number }
  /** Applies batches in a transaction that is left open, and says what they come to. */
  | {
      readonly do: 'propose'
      readonly batches: readonly (readonly SentOperation[])[]
      readonly expired: readonly { readonly kind: string; readonly id: string }[]
    }
  /** Reads a further step of what the open transaction comes to, from this place on. */
  | { readonly do: 'read'; readonly what: 'cleared' | 'puts'; readonly from: number }
  /** Commits the open transaction, which makes the copy what the log was when its last change bore this stamp. */
  | { readonly do: 'commit'; readonly stamp: string }
  | { readonly do: 'rollback' }
  | { readonly do: 'close' }

/** An entity that was changed, as the shared tables take it. */
export interface Put {
  readonly kind: string
  readonly id: string
  /** Null where it was deleted. */
  readonly body: string | null
  readonly msLeft: number | null
  readonly keys: readonly { readonly field: string; readonly digest: string }[]
  readonly links: readonly { readonly field: string; readonly toKind: string; readonly toId: string }[]
}

export interface Proposal {
  /** One for each batch, in order; an Error stands for a bug met in that batch alone. */
  readonly results: readonly (Written | Error)[]
  /** How many changes there are, and the newest of them, as many as the log keeps. */
  readonly count: number
  readonly changes: readonly Change[]
  /** What is to be put, and before that taken out of the way, each with its first step. */
  readonly cleared: Listed<Cleared>
  readonly puts: Listed<Put>
}

/** A list that may be long: how many there are, and the first of them. */
export interface Listed<Row> {
  readonly size: number
  readonly first: readonly Row[]
}

/** An entity whose rows in the shared tables were there before. */
export interface Cleared {
  readonly kind: string
  readonly id: string
  /** Whether it is gone itself. */
  readonly isGone: boolean
}

/** Every request is answered, in order. */
export type FromCopy =
  | { readonly say: 'ready' }
  | { readonly say: 'done'; readonly given?: Proposal | readonly Put[] | readonly Cleared[] }
  | { readonly say: 'failed'; readonly message: string }
