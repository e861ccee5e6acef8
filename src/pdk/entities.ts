/** An entity as a plugin reads it: frozen, every field of its schema present, null where it has no value. */
export interface Entity {
  readonly id: string
  readonly [field: string]: unknown
}

/**
 * An entity held in a worker's memory. `live` turns false once and for good when the entity was changed, deleted or pushed
 * out of memory: whoever remembers something that follows from it looks at `live` before using what it remembers.
 */
export interface Loaded<T extends Entity = Entity> {
  readonly entity: T
  readonly live: boolean
}

/** The entities of one kind that refer to the same other one, held in a worker's memory; `live` as in `Loaded`. */
export interface LoadedList {
  readonly entities: readonly Entity[]
  readonly live: boolean
}

/** A change that a plugin makes to an entity of a kind that plugins bring; fields that are not given get their defaults. */
export type Change =
  | { readonly do: 'insert'; readonly kind: string; readonly entity: Readonly<Record<string, unknown>> }
  | {
      readonly do: 'update'
      readonly kind: string
      readonly id: string
      readonly changes: Readonly<Record<string, unknown>>
    }
  | { readonly do: 'delete'; readonly kind: string; readonly id: string }
  /**
   * Adds to a number of the entity with the id of `entity`, whoever else does; where there is none, that one is inserted. Changes
   * that are made together change an entity once.
   */
  | {
      readonly do: 'count'
      readonly kind: string
      readonly entity: Readonly<Record<string, unknown>> & { readonly id: string }
      readonly field: string
      readonly by: number
    }

/** What came of changes: the entities as they are now (that of a delete as it was), or why none was made. */
export type Changed =
  | { readonly ok: true; readonly entities: readonly Entity[] }
  /**
   * `absent`: one to be changed or deleted is not there, also where another request was first. `unavailable`: there is no
   * database, or it cannot be written. `refused`: anything else, such as a value that is taken.
   */
  | { readonly ok: false; readonly reason: 'absent' | 'unavailable' | 'refused'; readonly message: string }

/**
 * What a plugin reads from the configuration: by id, by a unique field, or by what they refer to. All are synchronous, from the worker's local
 * copy, through a bounded cache that also remembers absence; undefined where there is no such entity.
 */
export interface EntityReader {
  get(kind: string, id: string): Loaded | undefined
  by(kind: string, field: string, value: string): Loaded | undefined
  /** All entities of a kind whose foreign field refers to the entity with this id, such as the groups of a consumer. */
  referring(kind: string, field: string, id: string): LoadedList
}

/** What a plugin reads and writes. */
export interface Entities extends EntityReader {
  /**
   * Makes all changes or none, through the store's owner; resolves when they are durable and in force, in this worker, too.
   * Refused where there is no database: a plugin that cannot do without says so in its answer.
   */
  write(changes: readonly Change[]): Promise<Changed>
}
