/** What writing and removing entities of some kinds means beside what follows from their schemas. */
import type { Operation, Stored } from '../store/store.ts'
import type { Answer } from './answers.ts'
import { caCertificateCustom } from './customs/ca-certificates.ts'
import { certificateCustom } from './customs/certificates.ts'
import { pluginCustom } from './customs/plugins.ts'
import type { Context } from './types.ts'

/** What goes with the write of one entity. */
export interface Beside {
  /** Further operations of the same transaction. */
  readonly operations: readonly Operation[]
  /** The entity as the answer shows it. */
  readonly shown: Stored
}

export type Refused = { readonly refusal: Answer }

export interface Custom {
  /**
   * Looks at a body before the schema's checks do; `id` is that of the entity to be written, where there may be one, and
   * `before` the entity that the body is merged into by a PATCH. What it returns is asked for what goes with the entity
   * once that has passed its checks.
   */
  readonly write?: (
    context: Context,
    input: Readonly<Record<string, unknown>>,
    id: string | undefined,
    before: Stored | undefined,
  ) => ((entity: Stored) => Beside) | Refused
  /** What has to go before an entity does, or why it must stay. */
  readonly removal?: (context: Context, id: string) => { readonly operations: readonly Operation[] } | Refused
}

const customs: Readonly<Record<string, Custom>> = {
  certificates: certificateCustom,
  ca_certificates: caCertificateCustom,
  plugins: pluginCustom,
}

const alone = (entity: Stored): Beside => ({ operations: [], shown: entity })

/** What a write of this kind brings along; mostly nothing. */
export function besideWrite(
  context: Context,
  kind: string,
  input: Readonly<Record<string, unknown>>,
  id?: string,
  before?: Stored,
): ((entity: Stored) => Beside) | Refused {
  return customs[kind]?.write?.(context, input, id, before) ?? alone
}

/** What a removal of this kind needs; mostly nothing. */
export function beforeRemoval(
  context: Context,
  kind: string,
  id: string,
): { readonly operations: readonly Operation[] } | Refused {
  return customs[kind]?.removal?.(context, id) ?? { operations: [] }
}
