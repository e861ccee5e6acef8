/** The token with which requests from elsewhere may be debugged, where the owner of the prefix finds it. Source: Kong's `request_debug_token`. */
import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from './config/settings.ts'

const fileName = '.request_debug_token'

/** The token of the settings, or a new one, written under the prefix; undefined where requests are not debugged. */
export function keepDebugToken(settings: Settings): string | undefined {
  const file = join(settings.prefix, fileName)
  // Made anew, so that an older file's owner and mode do not stay.
  rmSync(file, { force: true })
  if (!settings.request_debug) return undefined
  const token = settings.request_debug_token ?? randomUUID()
  writeFileSync(file, token, { mode: 0o600 })
  return token
}
