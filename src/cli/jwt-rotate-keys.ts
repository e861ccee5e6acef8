/** `gibbon jwt rotate-keys`: has the gateway sign its own tokens with a new key at once. */
import { changeSigningKeys, type ChangedKeys } from '../plugins/jwt/signing-keys.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { onPrefix } from './on-prefix.ts'
import { settingsOptions } from './with-settings.ts'

export const command: Command = {
  name: 'jwt rotate-keys',
  summary: 'Sign tokens for upstreams with a new key at once',
  usage: `jwt rotate-keys [--withdraw]

  The keys of upstream_token change by themselves every 30 days. This changes them now, for every worker and every node of the
  store when the command returns. A gateway may run on the prefix or not.`,
  options: {
    ...settingsOptions,
    withdraw: { type: 'boolean', help: 'publish the older keys no longer: one of them was stolen' },
  },
  run: (context) => rotateKeys(context),
}

async function rotateKeys(context: CommandContext): Promise<number> {
  if (context.args.length > 0) {
    context.stderr.write(
      `gibbon jwt rotate-keys: "${context.args[0]}" is too much\nTry: gibbon jwt rotate-keys --help\n`,
    )
    return exitStatus.usage
  }
  const withdraw = context.values['withdraw'] === true
  return onPrefix(
    context,
    {
      running: (ask) => ask('POST', '/jwt/rotate-keys', { withdraw }),
      stopped: async (store) =>
        (await changeSigningKeys(store, Math.floor(Date.now() / 1000), { withdraw })) ?? {
          problem: 'the store is not available',
        },
    },
    (changed: ChangedKeys) => {
      const { stdout, json } = context
      const { kid, published } = changed
      const older = published.length - 1
      stdout.write(
        json ? `${JSON.stringify(changed)}\n` : `gibbon: the key ${kid} signs from now on; ${older} older published\n`,
      )
    },
  )
}
