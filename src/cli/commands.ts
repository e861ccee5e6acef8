import type { Command, Io } from './command.ts'

type Loader = () => Promise<{ readonly command: Command }>

/** Every command by what is typed for it. A command's modules are loaded when it is asked for, because a gateway is up when they are. */
export const commands: { readonly [name: string]: Loader } = {
  start: () => import('./start.ts'),
  stop: () => import('./stop.ts'),
  reload: () => import('./reload.ts'),
  health: () => import('./health.ts'),
  top: () => import('./top.ts'),
  settings: () => import('./settings.ts'),
  config: () => import('./config.ts'),
  'jwt sign': () => import('./jwt-sign.ts'),
  'jwt explain': () => import('./jwt-explain.ts'),
  'jwt revoke': () => import('./jwt-revoke.ts'),
  'jwt rotate-keys': () => import('./jwt-rotate-keys.ts'),
  'admin-token': () => import('./admin-token.ts'),
  keyring: () => import('./keyring.ts'),
  migrations: () => import('./migrations.ts'),
  backup: () => import('./backup.ts'),
  echo: () => import('./echo.ts'),
  demo: () => import('./demo.ts'),
  version: () => import('./version.ts'),
}

/** Runs the command that the arguments name and returns the exit status. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    if (!Object.hasOwn(commands, name)) continue
    const { command } = await commands[name]!()
    return (await import('./run.ts')).run(command, argv.slice(words), io)
  }
  return (await import('./help.ts')).answerWithout(argv, commands, io)
}
