/**
 * Bytes that wait for somebody slower, in files that have no name: written behind, read from the front, gone when they are closed.
 * Where no file can be had or written, or there is no room, whoever sends the bytes has to wait, and nothing is lost.
 */
import { randomUUID } from 'node:crypto'
import { close, mkdirSync, open, read, unlink, write } from 'node:fs'
import { join } from 'node:path'
import { copyOf } from './growing.ts'
import { giveBack, takeBuffer } from './http1/read-buffers.ts'

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
const mostPending = 4 * 1024 * 1024
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

  /** A new one, or nothing where there is no room; `onRoom` is called when there is room again after there was none. */
  open(onRoom: () => void): Spool | undefined {
    if (this.limits.mostOfOne === 0 || this.spools >= mostSpools || !this.hasRoom) return undefined
    if (!this.#hasFolder) this.#makeFolder()
    return new Spool(this, onRoom)
  }

  #makeFolder(): void {
    try {
      mkdirSync(this.limits.folder, { recursive: true, mode: 0o700 })
      this.#hasFolder = true
    } catch {
      // Then no file can be made in it either, which each spool finds out.
    }
  }

  /** Tells those who wait for room, as far as there is some. */
  tellRoom(): void {
    for (const spool of this.waiting) {
      if (!this.hasRoom) return
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

export class Spool {
  readonly #space: SpoolSpace
  readonly #onRoom: () => void
  #fd: number | undefined
  /** Copies that are not in the file yet, and the bytes of those and of what is being written. */
  #pending: Buffer[] = []
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

  constructor(space: SpoolSpace, onRoom: () => void) {
    this.#space = space
    this.#onRoom = onRoom
    space.spools++
    this.#open()
  }

  #open(): void {
    const { folder } = this.#space.limits
    const path = join(folder, randomUUID())
    const opened = this.#step((error: Error | null, fd: number) => {
      if (error) this.#fail()
      else {
        this.#fd = fd
        // It is ours alone from here on, and gone with the process.
        unlink(path, () => {})
        this.#write()
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
  get hasRoom(): boolean {
    if (this.#canTake) return true
    this.#space.waiting.add(this)
    return false
  }

  get #canTake(): boolean {
    return (
      !this.#failed &&
      this.#pendingBytes < mostPendingOfOne &&
      this.#written + this.#pendingBytes < this.#space.limits.mostOfOne &&
      this.#space.hasRoom
    )
  }

  /** Whether all that was given has been taken. */
  get isEmpty(): boolean {
    return this.#pendingBytes === 0 && this.#read === this.#written
  }

  tellRoom(): void {
    if (!this.#canTake) return
    this.#space.waiting.delete(this)
    this.#onRoom()
  }

  /** Adds a copy. */
  append(bytes: Buffer, from: number, to: number): void {
    this.#pending.push(copyOf(bytes, from, to))
    this.#count(to - from)
    this.#write()
  }

  #count(bytes: number): void {
    this.#pendingBytes += bytes
    this.#space.pending += bytes
  }

  #write(): void {
    if (this.#fd === undefined || this.#isWriting || this.#failed || this.#closed || this.#pending.length === 0) return
    this.#isWriting = true
    const block = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending)
    this.#pending = [block]
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

  #wrote(block: Buffer, length: number): void {
    this.#written += length
    this.#space.bytes += length
    this.#pending.shift()
    // A full disk takes a part.
    if (length < block.length) this.#pending.unshift(block.subarray(length))
    this.#count(-length)
    this.#write()
    this.#space.tellRoom()
    this.#give()
  }

  #fail(): void {
    this.#failed = true
    this.#give()
  }

  /** Has the bytes that came first taken, now or later, once. Call it again after that, and while it is not empty. */
  next(take: TakeBytes): void {
    this.#take = take
    this.#give()
  }

  #give(): void {
    if (this.#take === undefined || this.#closed || this.isEmpty) return
    if (this.#read < this.#written) this.#giveFromFile(this.#take)
    else if (!this.#isWriting) this.#giveFromMemory(this.#take)
  }

  #giveFromMemory(take: TakeBytes): void {
    const piece = this.#pending.shift()!
    this.#take = undefined
    this.#count(-piece.length)
    this.#space.tellRoom()
    take(piece, piece.length)
  }

  #giveFromFile(take: TakeBytes): void {
    this.#take = undefined
    this.#steps++
    this.#space.whenReading(() => {
      const buffer = takeBuffer()
      const length = Math.min(buffer.length, this.#written - this.#read)
      read(this.#fd!, buffer, 0, length, this.#read, (error, got) => {
        this.#steps--
        this.#read += got
        if (!this.#closed) take(error || got === 0 ? undefined : buffer, got)
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
    this.#space.spools--
    this.#space.bytes -= this.#written
    this.#count(-this.#pendingBytes)
    this.#pending = []
    this.#closeFile()
    this.#space.tellRoom()
  }

  #closeFile(): void {
    if (!this.#closed || this.#steps > 0 || this.#fd === undefined) return
    close(this.#fd, () => {})
    this.#fd = undefined
  }
}
