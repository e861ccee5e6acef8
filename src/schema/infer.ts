import type { Field, Fields } from './field.ts'

/**
 * The TypeScript type of what passes a schema's checks, from its literal: `Entity<typeof schema>`.
 * A field that is `required` has a value. Any other may be null: one that has a default too, since null can be written for it.
 * One of our extensions is there only where it has a value.
 */
export type Entity<S extends { readonly fields: Fields }> = {
  readonly [Name in NameOf<S['fields'][number]> as IsExtension<S, Name> extends true ? never : Name]: ValueOf<
    FieldOf<S['fields'][number], Name>
  >
} & {
  readonly [Name in NameOf<S['fields'][number]> as IsExtension<S, Name> extends true ? Name : never]?: Present<
    FieldOf<S['fields'][number], Name>
  >
}

type IsExtension<S extends { readonly fields: Fields }, Name extends string> =
  FieldOf<S['fields'][number], Name> extends { readonly $extension: true } ? true : false

/** The type of a plugin's config. */
export type Config<S extends { readonly fields: Fields }> = Entity<S> extends { readonly config: infer C } ? C : never

type NameOf<Entry> = Entry extends Entry ? keyof Entry & string : never
type FieldOf<Entry, Name extends string> = Entry extends { readonly [N in Name]: infer F } ? F : never

type ValueOf<F> = F extends { readonly eq: null }
  ? null
  : F extends { readonly required: true }
    ? Present<F>
    : Present<F> | null

type Present<F> = F extends { readonly one_of: readonly (infer Option)[] }
  ? Option
  : F extends { readonly type: 'string' }
    ? string
    : F extends { readonly type: 'integer' | 'number' }
      ? number
      : F extends { readonly type: 'boolean' }
        ? boolean
        : F extends { readonly type: 'array' | 'set'; readonly elements: infer E }
          ? readonly Present<E>[]
          : F extends { readonly type: 'map'; readonly values: infer V extends Field }
            ? Readonly<Record<string, Present<V>>>
            : F extends { readonly type: 'record'; readonly fields: infer Inner extends Fields }
              ? Entity<{ readonly fields: Inner }>
              : F extends { readonly type: 'foreign' }
                ? { readonly id: string }
                : unknown
