import { asymmetric } from './extension-schema.ts'
import type { Config } from './ready.ts'

/** The algorithms of DPoP proofs that a config takes. */
export const proofAlgorithms = ({ dpop }: Pick<Config, 'dpop'>): readonly string[] => dpop?.algorithms ?? asymmetric
