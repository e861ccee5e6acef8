/** What commands do on a prefix whether a gateway runs on it or not: through its Admin API, or else with the store itself. */
import type { Settings } from '../config/settings.ts'
import type { SealedStore } from '../store/sealed.ts'
import { type CommandContext, exitStatus } from './command.ts'
import { askLocally, type LocalAnswer } from './local-admin.ts'
import { runningGateway } from './running.ts'
import { readSettings } from './with-settings.ts'

/** How something is done; both ways give the same. */
export interface Ways<T> {
  readonly running: (ask: Ask) => Promise<LocalAnswer>
  readonly stopped: (store: SealedStore) => Promise<T | { readonly problem: string }>
}

export type Ask = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) => Promise<LocalAnswer>

/** Does it, has `tell` print what came of it, and returns the exit status. */
export async function onPrefix<T extends object>(
  context: CommandContext,
  { running, stopped }: Ways<T>,
  tell: (outcome: T, settings: Settings) => void,
): Promise<number> {
  const loaded = readSettings(context)
  if (!loaded) return exitStatus.usage
  const { settings } = loaded
  const outcome = await outcomeOf(settings, running, stopped).catch((error: Error) => ({ problem: error.message }))
  if ('problem' in outcome) {
    context.stderr.write(`gibbon: ${outcome.problem}\n`)
    return exitStatus.failed
  }
  tell(outcome, settings)
  return exitStatus.done
}

async function outcomeOf<T extends object>(
  settings: Settings,
  running: Ways<T>['running'],
  stopped: Ways<T>['stopped'],
): Promise<T | { readonly problem: string }> {
  if (runningGateway(settings.prefix) === undefined) {
    const { withStore } = await import('./with-store.ts')
    return withStore(settings, stopped)
  }
  const { status, body } = await running((method, path, sent) =>
    askLocally(settings.prefix, method, path, sent === undefined ? {} : { body: sent }),
  )
  if (status < 300) return body as T
  const { message } = body
  return { problem: typeof message === 'string' ? message : `the gateway answers ${status}` }
}
