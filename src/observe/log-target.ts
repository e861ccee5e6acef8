/** Where log lines end up: a file, or what standard output and error are connected to. */
import { close, closeSync, constants, fstatSync, mkdirSync, openSync, write, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'

export interface Target {
  readonly isTerminal: boolean
  /** Bytes that may be written at once without lines of several writers being torn. */
  readonly pieceBytes: number
  /** Writes what it can of the buffer and tells how much, or why not; EAGAIN where the reader is slow. */
  write(buffer: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void
  /** Writes before it returns; throws where it cannot. */
  writeNow(buffer: Buffer): void
  close(): void
}

const standard: { readonly [path: string]: number } = { '/dev/stdout': 1, '/dev/stderr': 2 }
const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants
// What several workers write into one pipe stays whole up to PIPE_BUF bytes (POSIX write(2)); a file takes any length.
const pipeBytes = 4096
const fileBytes = 2 ** 20

/** Opens a path for appending, its folder being made where it is missing. Throws where it cannot. */
export function openTarget(path: string): Target {
  if (Object.hasOwn(standard, path)) return openStandard(standard[path]!)
  mkdirSync(dirname(path), { recursive: true })
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640)
  return fstatSync(fd).isFile() ? fileTarget(fd) : pipeTarget(fd)
}

// Descriptors 1 and 2 are shared with whoever started this process, so that they may not be made non-blocking; opening
// them once more can. A socket, such as the journal's, cannot be opened again.
function openStandard(fd: number): Target {
  try {
    const own = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY)
    return fstatSync(own).isFile() ? fileTarget(own) : pipeTarget(own)
  } catch {
    return { ...fileTarget(fd), pieceBytes: pipeBytes, close: () => undefined }
  }
}

// A disk may stall, which then holds up a thread of the pool and not this one.
const fileTarget = (fd: number): Target => ({
  isTerminal: isatty(fd),
  pieceBytes: fileBytes,
  write: (buffer, done) => write(fd, buffer, done),
  writeNow: (buffer) => void writeSync(fd, buffer),
  close: () => close(fd),
})

// Never blocks, so that the way through the thread pool would only cost.
const pipeTarget = (fd: number): Target => ({
  isTerminal: isatty(fd),
  pieceBytes: pipeBytes,
  write(buffer, done) {
    let written: number
    try {
      written = writeSync(fd, buffer)
    } catch (error) {
      return done(error as NodeJS.ErrnoException, 0)
    }
    done(null, written)
  },
  writeNow: (buffer) => void writeSync(fd, buffer),
  close: () => closeSync(fd),
})
