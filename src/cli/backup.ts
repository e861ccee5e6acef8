import { existsSync } from 'node:fs'
import { storeFile } from '../config/settings.ts'
import { type Command, exitStatus } from './command.ts'
import { readSettings, settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'backup',
  summary: 'Copy the store to a file, while the gateway runs or not',
  usage: `backup FILE [-p FOLDER]

  The copy is of one moment and complete. To restore it, stop the gateway and put it in the store's place under the prefix.
  Secrets lie in it as they lie in the store: sealed where it has a keyring, else in clear, of which stderr reminds.`,
  options: settingsOptions,
  async run(context) {
    const { args, stdout, stderr, json } = context
    const [to, ...more] = args
    if (to === undefined || more.length > 0) {
      stderr.write('gibbon backup: name one file to write to\n')
      return exitStatus.usage
    }
    const loaded = readSettings(context)
    if (!loaded) return exitStatus.usage
    const file = storeFile(loaded.settings)
    if (!existsSync(file)) {
      stderr.write(`gibbon: there is no store at ${file}\n`)
      return exitStatus.failed
    }
    try {
      const { backupFile } = await import('../store/sqlite/backup.ts')
      await backupFile(file, to)
      if (!(await isSealed(file)))
        stderr.write(
          'gibbon: the copy holds secrets in clear: keep it safe, or seal the store (gibbon keyring --help)\n',
        )
    } catch (error) {
      stderr.write(`gibbon: ${reasonOf(error as NodeJS.ErrnoException, to)}\n`)
      return exitStatus.failed
    }
    stdout.write(json ? `${JSON.stringify({ store: file, backup: to })}\n` : `gibbon: copied ${file} to ${to}\n`)
    return exitStatus.done
  },
}

async function isSealed(file: string): Promise<boolean> {
  const { storeKinds } = await import('../config/kinds.ts')
  const { indexesOf } = await import('../store/kinds.ts')
  const { isSealedStore } = await import('../store/sealed.ts')
  const { openReader } = await import('../store/sqlite/reader.ts')
  const reader = openReader(file, indexesOf(storeKinds))
  try {
    return isSealedStore(reader)
  } finally {
    reader.close()
  }
}

const reasonOf = (error: NodeJS.ErrnoException, to: string): string =>
  error.code === 'EEXIST'
    ? `${to} is there already, and is left as it is`
    : `cannot copy the store to ${to}: ${error.message}`
