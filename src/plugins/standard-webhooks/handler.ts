/**
 * The standard-webhooks plugin: lets only messages through that were signed with a secret, lately.
 * Source: Kong's docs, "Standard Webhooks"; the Standard Webhooks specification.
 */
import { createHmac } from 'node:crypto'
import type { AccessKong, Answer, Request } from '../../pdk/kong.ts'
import { definePlugin, type Plugin } from '../../pdk/plugin.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import type { schema } from './schema.ts'

export type Config = ConfigOf<typeof schema>

interface Message {
  readonly id: string
  readonly timestamp: string
  /** One or more, with spaces between: a sender that changes its secret signs with both. */
  readonly signatures: string
}

/** The plugin with a clock of one's own, in seconds since 1970. */
export const createStandardWebhooks = (now = () => Date.now() / 1000): Plugin<Config> =>
  definePlugin<Config, Config>({
    version: '3.10.0',
    priority: 760,
    prepare: (config) => config,
    access(kong, config) {
      const message = messageOf(kong.request)
      if (!message || now() - Number(message.timestamp) > config.tolerance_second) return refuse(kong)
      return checkBody(kong, config, message)
    },
  })

export default createStandardWebhooks()

function messageOf(request: Request): Message | undefined {
  const id = request.get_header('webhook-id')
  const timestamp = request.get_header('webhook-timestamp')
  const signatures = request.get_header('webhook-signature')
  if (id === undefined || timestamp === undefined || signatures === undefined) return undefined
  return /^\d{1,15}$/.test(timestamp) ? { id, timestamp, signatures } : undefined
}

async function checkBody(kong: AccessKong, { secret_v1 }: Config, message: Message): Promise<Answer | undefined> {
  const body = await kong.request.get_raw_body()
  if (body === undefined || body.length === 0) return refuse(kong)
  const expected = signatureOf(secret_v1, message, body)
  return message.signatures.split(' ').some((given) => sameSecret(given, expected)) ? undefined : refuse(kong)
}

/** `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body. */
function signatureOf(secret: string, { id, timestamp }: Message, body: Buffer): string {
  // As in Kong the timestamp is signed as the number that it is: without zeros before it.
  const head = Buffer.from(`${id}.${Number(timestamp)}.`, 'latin1')
  return `v1,${createHmac('sha256', secret).update(head).update(body).digest('base64')}`
}

/** What is wrong is not told: whoever may send knows how. */
const refuse = (kong: AccessKong): Answer => kong.response.error(400)
