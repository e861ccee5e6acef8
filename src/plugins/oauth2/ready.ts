import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'

/** The plugin's checked config. */
export type Config = ConfigOf<typeof schema>

/** What the plugin works with beside a request. */
export interface Ready {
  readonly config: Config
  /** The plugin entity's id, by which codes know who gave them. */
  readonly pluginId: string
  readonly anonymous: string | null
  readonly tokenHeader: string
  /** The clock, in seconds since 1970. */
  readonly now: () => number
}

/** An error of RFC 6749 5.2, as clients are told it. */
export interface Problem {
  readonly error: string
  readonly error_description: string
}

export const problem = (error: string, error_description: string): Problem => ({ error, error_description })
