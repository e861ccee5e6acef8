/** Why a gateway does not start or reload: said to people, line by line and without a stack. */
export class StartError extends Error {}

/** Runs what may fail for a reason that is the user's to mend. */
export function asStartError<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new StartError((error as Error).message, { cause: error })
  }
}
