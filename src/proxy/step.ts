import type { Answer } from '../pdk/kong.ts'
import type { GatewayError } from './answers.ts'

/** What a step of the road gives: nothing (go on), an answer or an error of the gateway's (end here), or a promise of it. */
export type Step = Answer | GatewayError | undefined | Promise<Answer | GatewayError | undefined>

export const isAnswer = (outcome: Answer | GatewayError): outcome is Answer => 'body' in outcome
