/**
 * The one store: every entity of every kind is kept the same way, and every change stands in one log.
 *
 * Reading is synchronous and local: each thread opens a `Reader` of its own on the same SQLite file. Writing goes through
 * one writer, in a thread of its own, which answers when the write is durable: in that file, or in the database that many
 * nodes share, whose local copy the file then is.
 */

/** An entity's kind: Kong's plural name, such as `services` or `jwt_secrets`. */
export type Kind = string

/** An entity as it is kept: every field of its schema, null where it has no value; foreign fields as `{ id }`. */
export interface Stored {
  readonly id: string
  readonly [field: string]: unknown
}

export interface Change {
  readonly revision: number
  /** An entity's kind, or `meta` for a named value; empty for changes that are not told singly: anything may have changed. */
  readonly kind: Kind
  readonly id: string
  readonly operation: 'insert' | 'update' | 'delete'
}

/** Stands for changes up to a revision that are not told singly. */
export const untold = (revision: number): Change => ({ revision, kind: '', id: '', operation: 'update' })

/** Whether there are changes among these that are not told singly. */
export const hasUntold = (changes: readonly Change[]): boolean => changes.some(({ kind }) => kind === '')

export interface PageRequest {
  /** Entities a page holds, 1 to 1000. */
  readonly size: number
  /** Where the page begins: the `offset` of the page before. */
  readonly offset?: string
  /** Only entities with all (or any) of these tags. */
  readonly tags?: { readonly names: readonly string[]; readonly match: 'all' | 'any' }
  /** Only entities whose foreign field `field` refers to `id`. */
  readonly link?: { readonly field: string; readonly id: string }
}

export interface Page {
  readonly entities: readonly Stored[]
  /** Where the next page begins (the last id of this one); absent on the last page. */
  readonly offset?: string
}

/**
 * Reads one revision of the store; what it returns stays of that revision until `renew`. Not to be shared between threads.
 * A thread that follows the store renews with each commit it is told of, promptly (a reader that never renews keeps the
 * write-ahead log growing), and asks `changesSince` its revision before: it may then be further than what it was told of.
 */
export interface Reader {
  readonly revision: number
  /** Moves to the newest committed revision and returns it. */
  renew(): number
  get(kind: Kind, id: string): Stored | undefined
  /** The entity with this value in a unique field; throws a TypeError where the field is not unique. */
  by(kind: Kind, field: string, value: string): Stored | undefined
  page(kind: Kind, request: PageRequest): Page
  /** Every entity of a kind by its id, read in steps: to be used up before the next `renew`. */
  all(kind: Kind): Iterable<Stored>
  count(kind: Kind): number
  /** Every tag with the entity that bears it, ordered by entity id; one tag's when named. */
  tags(request: { readonly size: number; readonly offset?: string; readonly tag?: string }): {
    readonly rows: readonly { readonly tag: string; readonly kind: Kind; readonly id: string }[]
    readonly offset?: string
  }
  /** The changes after `revision`, oldest first; undefined where the log no longer reaches back so far: read everything afresh. */
  changesSince(revision: number): readonly Change[] | undefined
  /** Named values beside the entities, such as the declarative configuration's text and hash. */
  meta(name: string): string | undefined
  close(): void
}

export type Operation =
  | { readonly do: 'insert'; readonly kind: Kind; readonly entity: Stored }
  /** Replaces the entity with `id`; `expected` (the body as it was read) makes it a `conflict` when it has changed meanwhile. */
  | { readonly do: 'update'; readonly kind: Kind; readonly entity: Stored; readonly expected?: Stored }
  /** Inserts, or replaces the entity with the same id. */
  | { readonly do: 'upsert'; readonly kind: Kind; readonly entity: Stored }
  | { readonly do: 'delete'; readonly kind: Kind; readonly id: string }
  /**
   * Makes `entities`, in any order, the whole content of all declared kinds: what is not named goes, what is equal stays untouched and leaves no
   * change in the log. An entity that differs only in `created_at` or `updated_at` counts as equal and keeps its old times. They are
   * gone through once, before the operations that follow are looked at; where that throws nothing is written.
   */
  | { readonly do: 'replace-all'; readonly entities: ContentEntities }
  | { readonly do: 'meta'; readonly name: string; readonly value: string | null }

/** The entities of a whole content, gone through once. */
export type ContentEntities = Iterable<{ readonly kind: Kind; readonly entity: Stored }>

export type StoreError =
  | { readonly code: 'primary'; readonly kind: Kind; readonly id: string }
  /** `fields` holds the unique field, or all those that are unique together. */
  | { readonly code: 'unique'; readonly kind: Kind; readonly fields: Readonly<Record<string, unknown>> }
  /** `field` of the written entity refers to an entity of `kind` that is not there. */
  | { readonly code: 'foreign'; readonly field: string; readonly kind: Kind; readonly id: string }
  /** An entity of kind `by` still refers to the one to be deleted. */
  | { readonly code: 'referenced'; readonly kind: Kind; readonly by: Kind }
  | { readonly code: 'absent'; readonly kind: Kind; readonly id: string }
  | { readonly code: 'conflict'; readonly kind: Kind; readonly id: string }
  /**
   * The disk is full, the file is damaged or locked, the database does not answer: nothing was written, nothing was lost. Only
   * where it is `unsure`, because the writer itself died, or the database fell silent while it wrote, may the batch be written.
   */
  | { readonly code: 'unavailable'; readonly message: string; readonly unsure?: true }

export type Written =
  /** `more`: how many changes there were besides, where they are more than the log keeps. */
  | { readonly ok: true; readonly revision: number; readonly changes: readonly Change[]; readonly more?: number }
  /** `at`: index of the operation that failed. Nothing of the batch was written. */
  | { readonly ok: false; readonly at: number; readonly error: StoreError }

/** The main thread's hold on the store. */
export interface Store {
  readonly reader: Reader
  /**
   * Applies all operations or none, in one transaction that is durable (fsync) when this resolves, and adopted by `onCommit`'s
   * listeners. An update or upsert that changes nothing leaves no change in the log. Rejects only with bugs (an unknown kind,
   * operations that are no plain data), and with what a content's entities throw.
   *
   * A database that many nodes share has a limited time for it, which counts from `since` (as `performance.now()` tells; now when
   * left out): a write that is tried again has no more time than one that is not.
   */
  write(operations: readonly Operation[], since?: number): Promise<Written>
  /**
   * Adds who is told of each committed revision before the write is answered, as the data plane's workers are.
   * Commits that arrive together are told of once.
   */
  onCommit(listener: (revision: number, changes: readonly Change[]) => Promise<void>): void
  /**
   * Renews the reader, after which it sees all that was committed before the call, on whichever node; where a database that
   * many nodes share does not answer soon, what is here.
   */
  refresh(): Promise<void>
  /** Whether writes can be taken now, as far as is known: false while a database that many nodes share does not answer. */
  reachable(): boolean
  /** Writes a consistent copy to a file that must not exist yet; rejects, leaving none, where that fails. */
  backup(file: string): Promise<void>
  close(): Promise<void>
}

/** A store that its owner can leave to another process for a while, or for good. */
export interface OwnedStore extends Store {
  /** Waits for the writes under way and lets go of all that writes; what is read stays. Nothing may be written until `resume`. */
  release(): Promise<void>
  resume(): Promise<void>
  /** Tells `onCommit`'s listeners of what another process has committed meanwhile; resolves when they are done. */
  look(): Promise<void>
}
