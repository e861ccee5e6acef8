/** The bundled plugins, a line each. */
import type { Plugin } from '../pdk/plugin.ts'
import type { Schema } from '../schema/field.ts'
import { jwt_secrets } from './jwt/credentials.ts'
import jwtHandler from './jwt/handler.ts'
import { jwt_revocations } from './jwt/revocations-schema.ts'
import { schema as jwt } from './jwt/schema.ts'

/** What a plugin brings: its settings, what it does, and entities of its own such as credentials. */
export interface BundledPlugin {
  readonly name: string
  readonly schema: Schema
  readonly handler: Plugin<unknown, unknown>
  readonly entities: readonly Schema[]
}

export const bundledPlugins: readonly BundledPlugin[] = [
  { name: 'jwt', schema: jwt, handler: jwtHandler, entities: [jwt_secrets, jwt_revocations] },
]
