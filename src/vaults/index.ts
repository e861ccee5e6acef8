/** The bundled vaults, a line each. */
import type { Schema } from '../schema/field.ts'
import { schema as env } from './env.ts'

export const bundledVaults: readonly Schema[] = [env]
