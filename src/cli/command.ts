import type { Writable } from 'node:stream'
import type { ParseArgsOptionsConfig } from 'node:util'

/** Options as `parseArgs` of node:util takes them, each with a line of help. */
export type CommandOptions = {
  readonly [name: string]: ParseArgsOptionsConfig[string] & {
    /** What the option does, one line. */
    readonly help?: string
    /** The word that stands for the value in the help, such as `FILE`. */
    readonly value?: string
  }
}

/** The outside world of a command line, `process` or a test's own. */
export interface Io {
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly env: NodeJS.ProcessEnv
}

/** Whether colours and aligned tables may be printed. */
export const isTerminal = ({ stdout, env }: Io): boolean => stdout.isTTY === true && !env['NO_COLOR']

/** What a command is run with: everything it may know of the world outside. */
export interface CommandContext {
  /** Arguments that are not options, without the command's own name. */
  readonly args: string[]
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: NodeJS.ProcessEnv
  /** True where stdout is a terminal that takes colours; false under `NO_COLOR`. */
  readonly isTerminal: boolean
  /** `--json` was given: what is printed is for programs. */
  readonly json: boolean
}

/** A subcommand of `gibbon`; its module exports it as `command`. `--help` and `--json` are everyone's and not declared. */
export interface Command {
  /** As it is typed, such as `start` or `jwt sign`. */
  readonly name: string
  /** One line, no full stop. */
  readonly summary: string
  /** Everything behind `gibbon `, such as `jwt sign [options]`; more lines may explain. */
  readonly usage: string
  readonly options: CommandOptions
  /** Returns the exit status: 0 done, 1 failed, 2 called wrongly, 3 not running. */
  run(context: CommandContext): Promise<number>
}

/** The exit statuses that all commands share. */
export const exitStatus = { done: 0, failed: 1, usage: 2, notRunning: 3 } as const
