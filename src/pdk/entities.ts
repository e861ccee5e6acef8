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

/**
 * What a plugin reads from the configuration: by id, or by a unique field. Both are synchronous, from the worker's local copy,
 * through a bounded cache that also remembers absence; undefined where there is no such entity.
 */
export interface Entities {
  get(kind: string, id: string): Loaded | undefined
  by(kind: string, field: string, value: string): Loaded | undefined
}
