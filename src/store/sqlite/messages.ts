import type { KindIndex } from '../kinds.ts'
import type { Change, Kind, Operation, Written } from '../store.ts'

/** What the writer's thread is started with. */
export interface WriterData {
  readonly file: string
  readonly kinds: readonly KindIndex[]
  /** How many changes the log keeps. */
  readonly keep: number
}

/** Operations that are done all or none, under a number that their answer bears. */
export interface Batch {
  readonly batch: number
  readonly operations: readonly Operation[]
}

/** What the writer's thread is told. */
export type ToWriter =
  /**
   * A part of what the operation at place `at` of a batch that is yet to come makes the whole content: entities as JSON, a line
   * each, because one long text is handed over sooner than many short ones.
   */
  | {
      readonly say: 'content'
      readonly batch: number
      readonly at: number
      readonly kind: Kind
      readonly bodies: string
    }
  /** A batch whose content was begun does not come. */
  | { readonly say: 'forget'; readonly batch: number }
  | { readonly say: 'write'; readonly batches: readonly Batch[] }
  | { readonly say: 'close' }

export interface Answered {
  readonly batch: number
  /** An Error stands for a bug met in this batch. */
  readonly result: Written | Error
}

/** Said once for all batches of one transaction, after it is durable. */
export interface Committed {
  readonly say: 'committed'
  readonly revision: number
  readonly changes: readonly Change[]
  readonly answers: readonly Answered[]
}

/** What it tells back. */
export type FromWriter =
  | { readonly say: 'ready' }
  /** Said of each part of a content. */
  | { readonly say: 'gathered' }
  | Committed
