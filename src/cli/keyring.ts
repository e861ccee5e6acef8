/** `gibbon keyring`: the keys that secrets in the store are sealed with. */
import { didYouMean } from '../config/nearest.ts'
import type { SealingStatus } from '../store/sealed.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { onPrefix } from './on-prefix.ts'
import { settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'keyring',
  summary: 'Seal the secrets in the store, and change the keys',
  usage: `keyring generate
       gibbon keyring status
       gibbon keyring rotate

  generate prints a new key, a line for the file that the setting keyring_file names.
  status tells which keys are at hand, which one seals, and which the store needs.
  rotate seals everything with the first key of the keyring, after which the others can go. A gateway may run meanwhile.`,
  options: settingsOptions,
  async run(context) {
    const [name = '', ...args] = context.args
    const action = Object.hasOwn(actions, name) && args.length === 0 ? actions[name] : undefined
    if (action) return action(context)
    const names = Object.keys(actions)
    const problem = args.length > 0 ? `${name} takes no arguments` : `no ${name}${didYouMean(name, names)}`
    context.stderr.write(
      `gibbon keyring: ${name === '' ? `say what: ${names.join(', ')}` : problem}\nTry: gibbon keyring --help\n`,
    )
    return exitStatus.usage
  },
}

const actions: { readonly [name: string]: (context: CommandContext) => Promise<number> } = { generate, status, rotate }

async function generate({ stdout, json }: CommandContext): Promise<number> {
  const key = (await import('../store/keyring.ts')).generateKey()
  stdout.write(json ? `${JSON.stringify({ key })}\n` : `${key}\n`)
  return exitStatus.done
}

function status(context: CommandContext): Promise<number> {
  return onPrefix(
    context,
    { running: (ask) => ask('GET', '/keyring'), stopped: (store) => Promise.resolve(store.sealing()) },
    (sealing: SealingStatus) => tell(context, sealing),
  )
}

function rotate(context: CommandContext): Promise<number> {
  return onPrefix(
    context,
    {
      running: (ask) => ask('POST', '/keyring/rotate'),
      stopped: async (store) =>
        store.sealing().active === null
          ? { problem: 'the store is not sealed: no keyring_file is given' }
          : { sealed: await store.rotate(), ...store.sealing() },
    },
    (sealing: SealingStatus & { readonly sealed: number }) => tell(context, sealing),
  )
}

function tell({ stdout, json }: CommandContext, sealing: SealingStatus & { readonly sealed?: number }): void {
  if (json) return void stdout.write(`${JSON.stringify(sealing)}\n`)
  if (sealing.active === null) return void stdout.write('gibbon: secrets are not sealed: no keyring_file is given\n')
  if (sealing.sealed !== undefined) stdout.write(`gibbon: sealed ${sealing.sealed} entities anew\n`)
  const spare = sealing.keyring.filter((id) => !sealing.needed.includes(id))
  stdout.write(`seals with  ${sealing.active}\nneeds       ${sealing.needed.join(', ')}\n`)
  if (spare.length > 0) stdout.write(`not needed  ${spare.join(', ')}\n`)
}
