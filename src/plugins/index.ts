/** The bundled plugins, a line each. */
import type { Schema } from '../schema/field.ts'
import { jwt_secrets } from './jwt/credentials.ts'
import { schema as jwt } from './jwt/schema.ts'

/** What a plugin brings to the configuration: its settings, and entities of its own such as credentials. */
export interface BundledPlugin {
  readonly name: string
  readonly schema: Schema
  readonly entities: readonly Schema[]
}

export const bundledPlugins: readonly BundledPlugin[] = [{ name: 'jwt', schema: jwt, entities: [jwt_secrets] }]
