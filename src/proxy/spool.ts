/**
 * Bytes that wait for somebody slower, in files that have no name: written behind, read from the front, gone when they are closed.
 * Where no file can be had or written, or there is no room, whoever sends the bytes has to wait, and nothing is lost.
 */
import { randomUUID } from 'node:crypto'
import { close, mkdirSync, open, read, readdirSync, statSync, unlink, unlinkSync, write } from 'node:fs'
import { join } from 'node:path'
import { release } from './growing.ts'
import { giveBack, takeBuffer } from './http1/read-buffers.ts'
import { ByteQueue } from './http2/byte-queue.ts'

export interface SpoolLimits {
  /** Where the files are made. */
  readonly folder: string
  /** Bytes of one spool; with 0 there are none. */
  readonly mostOfOne: number
  /** Bytes of all of them. */
  readonly mostOfAll: number
}

/** Each has a file descriptor, of which sockets need theirs. */
const mostSpools = 1000
/** Bytes in memory on their way to the disk: of one spool, and of all. */
const mostPendingOfOne = 64 * 1024
const mostPending = 16 * 1024 * 1024
/** A spool that is patient writes nothing as long as it has no more, and all have no more, than these. */
const patientBytes = 1024 * 1024
const patientPending = mostPending / 2
/** Buffers that are being filled from files. */
const mostReads = 16

/** Takes the bytes of a spool; nothing where they are lost. They are valid during the call only. */
export type TakeBytes = (bytes: Buffer | undefined, length: number) => void

/** The spools of a worker. */
export class SpoolSpace {
  spools = 0
  /** Bytes in files. */
  bytes = 0
  pending = 0
  /** Those that were told that there is no room. */
  readonly waiting = new Set<Spool>()
  readonly patient = new Set<Spool>()
  readonly limits: SpoolLimits
  #hasFolder = false
  #reads = 0
  readonly #readers: (() => void)[] = []

  constructor(limits: SpoolLimits) {
    this.limits = limits
  }

  get hasRoom(): boolean {
    return this.pending < mostPending && this.bytes < this.limits.mostOfAll
  }

  /** A new one, or nothing where there is no room. */
  open(kind: SpoolKind, onRoom: () => void): Spool | undefined {
    if (this.limits.mostOfOne === 0 || this.spools >= mostSpools || !this.hasRoom) return undefined
    if (!this.#hasFolder) this.#makeFolder()
    return new Spool(this, kind, onRoom)
  }

  /** Counts what is in memory; where that is much, those who were patient write it. */
  count(bytes: number): void {
    this.pending += bytes
    if (bytes > 0 && this.pending > patientPending) for (const spool of this.patient) spool.write()
  }

  #makeFolder(): void {
    try {
      mkdirSync(this.limits.folder, { recursive: true, mode: 0o700 })
      this.#hasFolder = true
      clear(this.limits.folder)
    } catch {
      // Then no file can be made in it either, which each spool finds out.
    }
  }

  /** Tells those who wait for room, as far as there is some, or will be none. */
  tellRoom(): void {
    for (const spool of this.waiting) {
      if (this.pending >= mostPending) return
      spool.tellRoom()
    }
  }

  /** Calls back when a buffer may be filled; `readDone` is called when it was emptied. */
  whenReading(begin: () => void): void {
    if (this.#reads >= mostReads) this.#readers.push(begin)
    else {
      this.#reads++
      begin()
    }
  }

  readDone(): void {
    const next = this.#readers.shift()
    if (next) next()
    else this.#reads--
  }
}

/** A file has its name for a moment only: one that is older than this is of a process that was killed within it. */
const leftAfterMs = 60_000

function clear(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).mtimeMs < Date.now() - leftAfterMs) unlinkSync(path)
  }
}

/** A `queue` gives each byte once. A `whole` gives all of them again after `rewind`, and keeps a moderate number in memory alone. */
export type SpoolKind = 'queue' | 'whole'

export class Spool {
  readonly #space: SpoolSpace
  readonly #isWhole: boolean
  readonly #onRoom: () => void
  #isOpening = false
  #fd: number | undefined
  /** What is not in the file yet: first what is being written, or was to be, then the rest. */
  #front: Buffer | undefined
  readonly #rest = new ByteQueue()
  #pendingBytes = 0
  #isWriting = false
  #written = 0
  #read = 0
  /** Nothing more goes into the file. */
  #failed = false
  #closed = false
  /** Steps of the file system that are under way: the file is closed after them. */
  #steps = 0
  #take: TakeBytes | undefined
  /** How often it was rewound. */
  #turn = 0

  /** `onRoom` is called when there is room again after there was none, and where it has turned out that there will be none. */
  constructor(space: SpoolSpace, kind: SpoolKind, onRoom: () => void) {
    this.#space = space
    this.#isWhole = kind === 'whole'
    this.#onRoom = onRoom
    space.spools++
    if (this.#isWhole) space.patient.add(this)
    else this.#open()
  }

  #open(): void {
    this.#isOpening = true
    const { folder } = this.#space.limits
    const path = join(folder, randomUUID())
    const opened = this.#step((error: Error | null, fd: number) => {
      if (error) this.#fail()
      else {
        this.#fd = fd
        // It is ours alone from here on, and gone with the process.
        unlink(path, () => {})
        this.write()
      }
    })
    open(path, 'wx+', 0o600, opened)
  }

  /** A callback of the file system's. */
  #step<Given extends readonly unknown[]>(done: (...given: Given) => void): (...given: Given) => void {
    this.#steps++
    return (...given) => {
      this.#steps--
      done(...given)
      this.#closeFile()
    }
  }

  /** Whether it takes more; where not, `onRoom` tells when it does. */
  takesMore(): boolean {
    if (this.#canTake) return true
    this.#space.waiting.add(this)
    return false
  }

  get #canTake(): boolean {
    const most = this.#space.patient.has(this) ? patientBytes : mostPendingOfOne
    return !this.isStuck && this.#pendingBytes < most && this.#space.hasRoom
  }

  /** Whether it takes no more before some of it is gone. */
  get isStuck(): boolean {
    const { limits, bytes } = this.#space
    return this.#failed || this.length >= limits.mostOfOne || bytes >= limits.mostOfAll
  }

  /** Bytes in it, those that were given of a `whole` included. */
  get length(): number {
    return this.#written + this.#pendingBytes
  }

  /** Whether all that was put in has been given. */
  get isEmpty(): boolean {
    return this.#read === this.length
  }

  /** Gives a `whole` from its first byte again. */
  rewind(): void {
    this.#take = undefined
    this.#read = 0
    this.#turn++
  }

  tellRoom(): void {
    if (!this.#canTake && !(this.#isWhole && this.isStuck)) return
    this.#space.waiting.delete(this)
    this.#onRoom()
  }

  /** Adds a copy. */
  append(bytes: Buffer, from: number, to: number): void {
    if (this.#closed) return
    this.#rest.append(bytes, from, to)
    this.#count(to - from)
    if (!this.#space.patient.has(this) || this.#pendingBytes >= patientBytes) this.write()
  }

  #count(bytes: number): void {
    this.#pendingBytes += bytes
    this.#space.count(bytes)
  }

  /** Puts what is in memory into the file, as far as that is not under way. */
  write(): void {
    this.#space.patient.delete(this)
    if (!this.#isOpening && !this.#closed) this.#open()
    if (this.#fd === undefined || this.#isWriting || this.#failed || this.#closed || this.#pendingBytes === 0) return
    this.#isWriting = true
    const block = (this.#front ??= this.#emptyRest())
    write(
      this.#fd,
      block,
      0,
      block.length,
      this.#written,
      this.#step((error: Error | null, length: number) => {
        this.#isWriting = false
        if (this.#closed) return
        if (error) this.#fail()
        else this.#wrote(block, length)
      }),
    )
  }

  #emptyRest(): Buffer {
    const block = Buffer.concat(this.#rest.pieces())
    this.#rest.release()
    return block
  }

  #wrote(block: Buffer, length: number): void {
    this.#written += length
    this.#space.bytes += length
    // A full disk takes a part.
    this.#front = length < block.length ? block.subarray(length) : undefined
    if (this.#front === undefined) release(block)
    this.#count(-length)
    this.write()
    this.#space.tellRoom()
    this.#give()
  }

  #fail(): void {
    this.#failed = true
    this.#give()
    if (this.#isWhole && !this.#closed) this.#onRoom()
  }

  /** Has the bytes that came first taken, now or later, once. Call it again after that, and while it is not empty. */
  next(take: TakeBytes): void {
    this.#take = take
    this.#give()
  }

  #give(): void {
    if (this.#take === undefined || this.#closed || this.isEmpty) return
    if (this.#read < this.#written) this.#giveFromFile(this.#take)
    else if (this.#isWhole) this.#showFromMemory(this.#take)
    else if (!this.#isWriting) this.#giveFromMemory(this.#take)
  }

  #showFromMemory(take: TakeBytes): void {
    let at = this.#read - this.#written
    const pieces = this.#front ? [this.#front, ...this.#rest.pieces()] : this.#rest.pieces()
    for (const piece of pieces) {
      if (at < piece.length) {
        this.#take = undefined
        this.#read += piece.length - at
        take(piece.subarray(at), piece.length - at)
        return
      }
      at -= piece.length
    }
  }

  #giveFromMemory(take: TakeBytes): void {
    const piece = this.#front ?? this.#emptyRest()
    this.#front = undefined
    this.#take = undefined
    this.#count(-piece.length)
    this.#space.tellRoom()
    take(piece, piece.length)
    release(piece)
  }

  #giveFromFile(take: TakeBytes): void {
    this.#take = undefined
    this.#steps++
    const turn = this.#turn
    this.#space.whenReading(() => {
      const buffer = takeBuffer()
      const length = Math.min(buffer.length, this.#written - this.#read)
      read(this.#fd!, buffer, 0, length, this.#read, (error, got) => {
        this.#steps--
        if (!this.#closed && turn === this.#turn) {
          this.#read += got
          take(error || got === 0 ? undefined : buffer, got)
        }
        giveBack(buffer)
        this.#space.readDone()
        this.#closeFile()
      })
    })
  }

  /** Forgets everything. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#take = undefined
    this.#space.waiting.delete(this)
    this.#space.patient.delete(this)
    this.#space.spools--
    this.#space.bytes -= this.#written
    this.#count(-this.#pendingBytes)
    this.#front = undefined
    this.#rest.release()
    this.#closeFile()
    this.#space.tellRoom()
  }

  #closeFile(): void {
    if (!this.#closed || this.#steps > 0 || this.#fd === undefined) return
    close(this.#fd, () => {})
    this.#fd = undefined
  }
}
