/** What the proxy's TLS listeners show and how sessions are resumed: read at the start and when asked, and changed in time. */
import { randomBytes } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Settings } from './config/settings.ts'
import { tlsPolicy } from './proxy/tls/policy.ts'
import type { TlsSetup } from './proxy/tls/server.ts'
import { StartError } from './start-error.ts'

export interface TlsKeeper {
  readonly setup: TlsSetup
  /** Reads the certificates' files again; throws, with everything as before, where one is wrong. */
  reload(settings: Settings): void
  stop(): void
}

const longestRotationMs = 86_400_000

/**
 * Reads the certificates of the proxy's listeners. `changed` is called whenever workers should show or resume by something else.
 * With the ticket keys of the process before, what its clients were given is still good. Throws a `StartError` where settings or files are wrong.
 */
export async function keepTls(
  settings: Settings,
  changed: (setup: TlsSetup) => void,
  ticketKeys: Uint8Array = newKeys(),
): Promise<TlsKeeper> {
  const { proxyCertificates } = await import('./config/self-signed.ts')
  const read = (from: Settings): Pick<TlsSetup, 'cert' | 'key'> => {
    try {
      const pairs = proxyCertificates(from)
      const setup = { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }
      createSecureContext({ ...tlsPolicy(from), ...setup })
      return setup
    } catch (error) {
      throw new StartError(`TLS cannot be spoken: ${(error as Error).message}`, { cause: error })
    }
  }
  let setup: TlsSetup = { ...read(settings), ticketKeys }
  const change = (part: Partial<TlsSetup>): void => {
    setup = { ...setup, ...part }
    changed(setup)
  }
  // Who gets hold of the key can read every session that was resumed by it.
  const rotation = setInterval(
    () => change({ ticketKeys: newKeys() }),
    Math.min(settings.ssl_session_timeout, longestRotationMs),
  ).unref()
  return {
    get setup() {
      return setup
    },
    reload: (next) => change(read(next)),
    stop: () => clearInterval(rotation),
  }
}

// Name, HMAC key and AES key of a ticket.
const newKeys = (): Uint8Array => new Uint8Array(randomBytes(48))
