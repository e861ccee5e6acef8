/** What commands that speak to an Admin API over the network have in common: the token that it may ask for. */
import { readFileSync } from 'node:fs'
import type { CommandContext, CommandOptions } from './command.ts'

export const adminTokenOption = {
  'admin-token-file': {
    type: 'string',
    value: 'FILE',
    help: 'file with the token that the Admin API asks for; others on this machine may see an argument',
  },
} as const satisfies CommandOptions

/** The headers that carry the token; none where no file is named. Throws an error that names the option where it cannot be read. */
export function adminHeaders({ values }: Pick<CommandContext, 'values'>): Record<string, string> {
  const file = values['admin-token-file']
  if (typeof file !== 'string') return {}
  try {
    return { 'Kong-Admin-Token': readFileSync(file, 'utf8').trim() }
  } catch (error) {
    throw new Error(`--admin-token-file: ${(error as Error).message}`, { cause: error })
  }
}
