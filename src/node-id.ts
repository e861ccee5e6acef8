import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from './config/settings.ts'

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

/** The node's id: the setting `node_id`, or one that is made at the first start and kept under the prefix. */
export function nodeId({ node_id, prefix }: Pick<Settings, 'node_id' | 'prefix'>): string {
  if (node_id !== undefined) return node_id
  const file = join(prefix, 'node.id')
  const kept = contentOf(file)
  if (uuid.test(kept)) return kept
  const made = randomUUID()
  writeFileSync(file, `${made}\n`, { mode: 0o600 })
  return made
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}
