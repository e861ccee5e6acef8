/**
 * Log lines on their way to a file or a pipe: gathered, written in the background, and dropped with a count where the disk
 * or the reader is too slow. Nothing here blocks or throws: what goes wrong is told to `onTrouble`.
 */
import { openTarget, type Target } from './log-target.ts'

export interface LogFile {
  /** Takes a line, newline included, that is written within 100 ms. */
  write(line: string): void
  /** Lines dropped so far. */
  readonly dropped: number
  /** Whether people read along. */
  readonly isTerminal: boolean
  /** Opens the file anew, as is asked for when it was moved aside; keeps to the old one where that fails. */
  reopen(): void
  /** Resolves when what was written until now has left, or cannot. */
  flush(): Promise<void>
  /** Writes what waits at once, as far as that goes without waiting: for when the process is about to end. */
  flushNow(): void
  /** Flushes for at most a second, then closes. */
  close(): Promise<void>
}

export interface LogFileOptions {
  /** Bytes that may wait. */
  readonly maxQueuedBytes?: number
  /** The line that tells how many were dropped, written as soon as lines can be written again. */
  readonly droppedLine?: (count: number) => string
  /** Told each time that opening fails or writing begins to. */
  readonly onTrouble?: (message: string) => void
  /** Opens the place that lines go to; a test's may be slow or full. */
  readonly open?: (path: string) => Target
}

const gatherBytes = 65_536
const gatherMs = 100
const retryBusyMs = 5
const retryFailedMs = 1000
const closeMs = 1000

/**
 * Opens a log by a setting's value: a path, `/dev/stdout`, `/dev/stderr`, or `off`. One that cannot be opened drops its lines,
 * until `reopen` finds it better.
 */
export function openLogFile(path: string, options: LogFileOptions = {}): LogFile {
  return path === 'off' ? nowhere : new QueuedFile(path, options)
}

const nowhere: LogFile = {
  write: () => undefined,
  dropped: 0,
  isTerminal: false,
  reopen: () => undefined,
  flush: () => Promise.resolve(),
  flushNow: () => undefined,
  close: () => Promise.resolve(),
}

class QueuedFile implements LogFile {
  dropped = 0
  readonly #path: string
  readonly #options: Required<LogFileOptions>
  #target: Target | undefined
  /** The one to go on with when the write under way on the present one has ended. */
  #next: Target | undefined
  // Bytes, not texts: what waits as text is copied by each garbage collection until it is written.
  #gathered = Buffer.allocUnsafeSlow(gatherBytes)
  #used = 0
  #queue: Buffer[] = []
  #queuedBytes = 0
  #writing = false
  #gatherTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #untold = 0
  #isFailing = false
  #flushed: (() => void)[] = []

  constructor(path: string, options: LogFileOptions) {
    this.#path = path
    this.#options = {
      maxQueuedBytes: 8 * 2 ** 20,
      droppedLine: (count) => `${count} log lines were dropped\n`,
      onTrouble: () => undefined,
      open: openTarget,
      ...options,
    }
    this.#target = this.#open()
  }

  #open(): Target | undefined {
    try {
      return this.#options.open(this.#path)
    } catch (error) {
      this.#options.onTrouble(`cannot open the log ${this.#path}: ${(error as Error).message}`)
      return undefined
    }
  }

  get isTerminal(): boolean {
    return this.#target?.isTerminal === true
  }

  write(line: string): void {
    const waiting = this.#queuedBytes + this.#used
    if (!this.#target || waiting + line.length > this.#options.maxQueuedBytes) {
      this.dropped++
      this.#untold++
      return
    }
    const mostBytes = line.length * 3
    if (this.#used + mostBytes > gatherBytes) this.#push()
    if (mostBytes > gatherBytes) {
      this.#enqueue(Buffer.from(line))
      if (!this.#writing) this.#writeNext()
      return
    }
    this.#used += this.#gathered.write(line, this.#used)
    this.#gatherTimer ??= setTimeout(() => this.#push(), gatherMs).unref()
  }

  reopen(): void {
    const opened = this.#open()
    if (!opened) return
    this.#next?.close()
    this.#next = opened
    if (!this.#writing || this.#retryTimer) this.#writeNext()
  }

  flush(): Promise<void> {
    this.#push()
    if (!this.#writing || this.#isFailing) return Promise.resolve()
    return new Promise((resolve) => void this.#flushed.push(resolve))
  }

  flushNow(): void {
    this.#gather()
    // The first buffer of a write under way is on its way already.
    const isUnderWay = this.#writing && !this.#retryTimer
    const rest = this.#queue.splice(isUnderWay ? 1 : 0)
    this.#queuedBytes = isUnderWay ? (this.#queue[0]?.length ?? 0) : 0
    try {
      for (const buffer of rest) this.#target?.writeNow(buffer)
    } catch {
      // The process is about to end, and there is nobody left to tell.
    }
  }

  async close(): Promise<void> {
    const { promise: tooLong, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, closeMs)
    await Promise.race([this.flush(), tooLong])
    clearTimeout(timer)
    clearTimeout(this.#retryTimer)
    this.#target?.close()
    this.#target = undefined
  }

  #push(): void {
    this.#gather()
    if (!this.#writing) this.#writeNext()
  }

  #gather(): void {
    clearTimeout(this.#gatherTimer)
    this.#gatherTimer = undefined
    if (this.#used === 0) return
    this.#enqueue(Buffer.from(this.#gathered.subarray(0, this.#used)))
    this.#used = 0
  }

  #enqueue(buffer: Buffer): void {
    this.#queue.push(buffer)
    this.#queuedBytes += buffer.length
  }

  #writeNext(): void {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    if (this.#next) this.#switchTarget(this.#next)
    const buffer = this.#queue[0]
    const target = this.#target
    if (!buffer || !target) return this.#rest()
    this.#writing = true
    target.write(piece(buffer, target.pieceBytes), (error, written) => {
      if (error) return this.#failed(error)
      this.#isFailing = false
      this.#queuedBytes -= written
      if (written < buffer.length) this.#queue[0] = buffer.subarray(written)
      else this.#queue.shift()
      this.#writeNext()
    })
  }

  #switchTarget(next: Target): void {
    this.#target?.close()
    this.#target = next
    this.#next = undefined
    this.#isFailing = false
  }

  #rest(): void {
    this.#writing = false
    this.#tellFlushed()
    if (this.#untold === 0 || !this.#target) return
    const line = this.#options.droppedLine(this.#untold)
    this.#untold = 0
    this.write(line)
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EAGAIN') {
      this.#retryTimer = setTimeout(() => this.#writeNext(), retryBusyMs)
      return
    }
    if (!this.#isFailing) this.#options.onTrouble(`cannot write the log ${this.#path}: ${error.message}`)
    this.#isFailing = true
    if (hasGone.has(error.code ?? '')) return this.#giveUp()
    this.#retryTimer = setTimeout(() => this.#writeNext(), retryFailedMs).unref()
    this.#tellFlushed()
  }

  // Who has closed the reading end does not come back; only `reopen` may change that.
  #giveUp(): void {
    this.dropped += this.#queue.length
    this.#queue = []
    this.#queuedBytes = 0
    this.#target?.close()
    this.#target = undefined
    this.#rest()
  }

  #tellFlushed(): void {
    for (const resolve of this.#flushed.splice(0)) resolve()
  }
}

const hasGone: ReadonlySet<string> = new Set(['EPIPE', 'EBADF', 'ENXIO'])

/** As many whole lines as may be written at once; of a longer line the whole. */
function piece(buffer: Buffer, most: number): Buffer {
  if (buffer.length <= most) return buffer
  const end = buffer.lastIndexOf(10, most - 1)
  if (end !== -1) return buffer.subarray(0, end + 1)
  const endOfLong = buffer.indexOf(10, most)
  return endOfLong === -1 ? buffer : buffer.subarray(0, endOfLong + 1)
}
