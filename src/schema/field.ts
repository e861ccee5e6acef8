/**
 * The schema language: Kong's own, as plain data.
 *
 * An entity or a plugin is declared once, `as const satisfies Schema`. Its TypeScript type, its checks, its defaults and
 * what `GET /schemas/...` serves all follow from that literal.
 * Source: the attributes served by Kong's `GET /schemas/:entity`, and Kong's plugin development guide, "Plugin configuration".
 */

export type FieldType =
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'array'
  | 'set'
  | 'map'
  | 'record'
  | 'foreign'
  | 'json'
  | 'any'

/** A pattern in Lua's syntax with the text for the value that breaks it. */
export interface LuaPattern {
  readonly pattern: string
  readonly err: string
}

/** A field's attributes. Those that Kong serves keep Kong's names; ours that are never served begin with `$`. */
export interface Field {
  readonly type: FieldType
  readonly description?: string
  readonly required?: boolean
  readonly default?: unknown
  readonly auto?: boolean
  readonly unique?: boolean
  readonly unique_across_ws?: boolean
  readonly uuid?: boolean
  readonly timestamp?: boolean
  readonly abstract?: boolean
  readonly indexed?: boolean
  readonly immutable?: boolean
  /** Accepted and served, but not an attribute of the stored entity. */
  readonly transient?: boolean
  readonly one_of?: readonly (string | number)[]
  readonly not_one_of?: readonly (string | number)[]
  readonly between?: readonly [number, number]
  readonly gt?: number
  /** Null means that the field must have no value. */
  readonly eq?: string | number | boolean | null
  readonly ne?: string | number | boolean | null
  readonly len_eq?: number
  readonly len_min?: number
  readonly len_max?: number
  readonly starts_with?: string
  /** Patterns here and below are in Lua's syntax, as clients are served them. */
  readonly match?: string
  readonly not_match?: string
  readonly match_none?: readonly LuaPattern[]
  readonly match_any?: { readonly patterns: readonly string[]; readonly err?: string }
  readonly match_all?: readonly LuaPattern[]
  readonly contains?: string | number
  readonly is_regex?: boolean
  readonly mutually_exclusive_subsets?: readonly (readonly string[])[]
  /** Takes the place of whatever the attributes' own texts say. */
  readonly err?: string
  readonly elements?: Field
  readonly keys?: Field
  readonly values?: Field
  readonly fields?: Fields
  readonly entity_checks?: readonly EntityCheck[]
  readonly shorthand_fields?: readonly ShorthandField[]
  readonly json_schema?: unknown
  readonly reference?: string
  readonly on_delete?: 'cascade' | 'null' | 'restrict'
  /** The value may be `{vault://...}`, which stands for a secret kept elsewhere. */
  readonly referenceable?: boolean
  readonly encrypted?: boolean
  readonly deprecation?: Deprecation
  /** A check of our own, run after the attributes: returns what is wrong with the value. */
  readonly $check?: (value: never) => string | undefined
  /** A secret that Kong does not mark as `encrypted`: always, or where this says so of the value. See `secrets.ts`. */
  readonly $secret?: true | ((value: string) => boolean)
  /**
   * A field of ours beside Kong's, within a record: it is in an entity only where it was given a value, and no schema served
   * speaks of it, so that who does not use it sees Kong's.
   */
  readonly $extension?: true
  /** Of a foreign field: the schema that `reference` names, put here where the kinds are gathered. */
  readonly $foreign?: () => Schema
}

/** Why a field is not to be used any more; `replaced_with` are paths within the same record. */
export interface Deprecation {
  readonly replaced_with?: readonly { readonly path: readonly string[] }[]
  readonly message?: string
  readonly removal_in_version?: string
}

export type Fields = readonly { readonly [name: string]: Field }[]

/** Attributes that a conditional check lays over those of the field it looks at. */
export type FieldMatch = Partial<Field>

/** Kong's named checks between fields, one key each; names within may be paths such as `config.minute`. */
export interface EntityCheck {
  readonly at_least_one_of?: readonly string[]
  readonly only_one_of?: readonly string[]
  readonly distinct?: readonly string[]
  readonly mutually_required?: readonly string[]
  readonly mutually_exclusive?: readonly string[]
  readonly mutually_exclusive_sets?: { readonly set1: readonly string[]; readonly set2: readonly string[] }
  readonly conditional?: {
    readonly if_field: string
    readonly if_match: FieldMatch
    readonly then_field: string
    readonly then_match: FieldMatch
    readonly then_err?: string
  }
  readonly conditional_at_least_one_of?: {
    readonly if_field: string
    readonly if_match: FieldMatch
    readonly then_at_least_one_of: readonly string[]
    readonly then_err?: string
    readonly else_match?: FieldMatch
    readonly else_then_at_least_one_of?: readonly string[]
    readonly else_then_err?: string
  }
  readonly custom_entity_check?: {
    readonly field_sources: readonly string[]
    readonly run_with_missing_fields?: boolean
    readonly run_with_invalid_fields?: boolean
    /** Returns what is wrong with the fields of `field_sources`; `now` is in seconds since 1970. */
    readonly $check?: (entity: Readonly<Record<string, unknown>>, now: number) => string | undefined
  }
}

/**
 * A field that is written but not stored, such as a service's `url`: `$expand` gives the fields that it stands for. One that was
 * replaced by another stands for that one where it has no value, and is shown beside it.
 */
export type ShorthandField = {
  readonly [name: string]: Field & {
    readonly $expand?: (value: never) => { readonly [field: string]: unknown }
  }
}

/** What an abstract field's parent is in one of its kinds, such as `plugins` with the name `jwt`: its fields take the parent's places. */
export interface Subschema {
  readonly fields: Fields
  readonly entity_checks?: readonly EntityCheck[]
}

/** An entity's declaration. `name` is Kong's plural entity name, such as `jwt_secrets`. */
export interface Schema {
  readonly name: string
  /** The field that identifies an entity where that is not `id`. */
  readonly primary_key?: string
  /** The field that `:id_or_name` in an Admin API path means beside `id`. */
  readonly endpoint_key?: string
  /** The collection's path in the Admin API where it differs from `name`, such as `jwts`. */
  readonly admin_api_name?: string
  /** The path below its parent where that differs, such as `jwt` in `/consumers/:c/jwt`. */
  readonly admin_api_nested_name?: string
  /** False where the Admin API has no collection of these entities. */
  readonly generate_admin_api?: boolean
  /** False where declarative files have no section for these entities. */
  readonly db_export?: boolean
  /**
   * A kind of ours, which Kong has not: its paths are not among those that Kong lists, and plugins may write it without a database.
   */
  readonly $own?: true
  /** Where they are several: fields whose values together are unique, such as a plugin's name and scope. */
  readonly cache_key?: readonly string[]
  /** Entities may be given a `ttl` in seconds; it is no field of the schema. */
  readonly ttl?: boolean
  /** The field that chooses among `subschemas`: by its value, or where it is a set by its first known element. */
  readonly subschema_key?: string
  /** The text for a value that no subschema has, with `%s` for the value. */
  readonly subschema_error?: string
  readonly subschemas?: ReadonlyMap<string, Subschema>
  readonly fields: Fields
  readonly entity_checks?: readonly EntityCheck[]
  readonly shorthand_fields?: readonly ShorthandField[]
  /** Runs on the sent body before the checks: puts values into their stored form, or says what is wrong with them. */
  readonly $prepare?: (
    input: Readonly<Record<string, unknown>>,
  ) => { readonly value: Record<string, unknown> } | { readonly errors: Record<string, string> }
  /**
   * Fields that are kept in another form than the one they are sent in, such as a hashed password: gets the entity as checked, the
   * names of the fields that were sent, and the entity that it replaces; gives the fields in the form that is kept.
   */
  readonly $transform?: (
    entity: Readonly<Record<string, unknown>>,
    sent: ReadonlySet<string>,
    before?: Readonly<Record<string, unknown>>,
  ) => Record<string, unknown>
  /** What `$transform` works on, `input`, and what it needs for that: who writes some of them has to send all of them. */
  readonly $transforms?: { readonly input: readonly string[]; readonly needs: readonly string[] }
  /** Fields that follow from others, computed when the entity has passed its checks. */
  readonly $derive?: (entity: Readonly<Record<string, unknown>>) => Record<string, unknown>
}

/** What records, subschemas and entities have in common. */
export type Shape = Pick<
  Schema,
  'fields' | 'entity_checks' | 'shorthand_fields' | 'subschema_key' | 'subschema_error' | 'subschemas'
>
