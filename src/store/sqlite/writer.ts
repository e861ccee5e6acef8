/** The entry of the writer's thread: applies the batches that it is sent, all that wait together in one transaction. */
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Operation, Written } from '../store.ts'
import { connect, lockWaitMs } from './file.ts'
import { gathering } from './gathering.ts'
import { groupCommit } from './group.ts'
import type { FromWriter, ToWriter, WriterData } from './messages.ts'
import type { WriterOperation } from './operations.ts'
import { addToContent, type Content, emptyContent } from './replace-all.ts'

/** Commits, or changes in them, after which the write-ahead log is brought over into the file. */
const checkpointCommits = 100
const checkpointChanges = 1000

/** Pages in the write-ahead log from which on it is begun anew: 32 MB. */
const restartPages = 8192

/** How long that waits for readers to let go of the log, in ms; writes wait meanwhile. */
const restartWaitMs = 60

/** Bytes that the log's file may keep when it is begun anew after a large commit. */
const longestIdleLog = 64 * 1024 * 1024

/** How often entities whose time is over are deleted, in ms. */
const burialMs = 1000

const { file, kinds, keep } = workerData as WriterData
const port = parentPort
if (!port) throw new Error('the writer runs in a thread of its own')

const db = connect(file)
const commit = groupCommit(db, kinds, { keep, now: Date.now })
const checkpointAfter = checkpoints(db)
const send = (message: FromWriter) => port.postMessage(message)

/** Large contents, part by part, until the operations come that they belong to: by batch and place in it. */
const contents = new Map<string, Content>()
const indexes = new Map(kinds.map((index) => [index.kind, index]))
let closing = false
const gathered = gathering<Write>({
  commit: write,
  arrived: () => writesOf(waiting(port)),
  wait: (flush, ms) =>
    setTimeout(() => {
      flush()
      if (closing) close()
    }, ms),
})

port.on('message', (first: ToWriter) => {
  gathered.add(writesOf([first, ...waiting(port)]))
  if (closing) close()
})
const burial = kinds.some(({ ttl }) => ttl) ? setInterval(() => write([]), burialMs) : undefined
send({ say: 'ready' })

function* waiting(port: MessagePort): Iterable<ToWriter> {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) yield next.message as ToWriter
}

function writesOf(messages: Iterable<ToWriter>): Write[] {
  const writes: Write[] = []
  for (const message of messages) {
    if (message.say === 'close') closing = true
    else if (message.say === 'content') gather(message)
    else
      writes.push({
        ...message,
        operations: message.operations.map((operation, at) => whole(operation, message.batch, at)),
      })
  }
  return writes
}

function gather({ batch, at, kind, bodies }: Extract<ToWriter, { say: 'content' }>): void {
  const place = `${batch}/${at}`
  const content = contents.get(place) ?? emptyContent()
  const index = indexes.get(kind)
  if (!index) throw new TypeError(`the store knows no kind ${kind}`)
  contents.set(place, content)
  for (const body of bodies) addToContent(content, index, body)
}

/** An operation with what was gathered for it. */
function whole(operation: Operation, batch: number, at: number): WriterOperation {
  const place = `${batch}/${at}`
  const gathered = contents.get(place)
  contents.delete(place)
  return operation.do === 'replace-all' && gathered ? { ...operation, gathered } : operation
}

function write(writes: readonly Write[]): void {
  const group = commit(writes.map(({ operations }) => operations))
  // One batch too big for the disk must not take the others with it.
  if (writes.length > 1 && group.results.every(isUnavailable)) return writes.forEach((single) => write([single]))
  const answers = group.results.map((result, at) => ({ batch: writes[at]?.batch ?? -1, result }))
  if (answers.length > 0 || group.changes.length > 0) {
    send({ say: 'committed', revision: group.revision, changes: group.changes, answers })
  }
  checkpointAfter(group.changes.length)
}

function close(): void {
  gathered.flush()
  clearInterval(burial)
  db.close()
  port?.close()
}

type Write = Extract<ToWriter, { say: 'write' }>

function isUnavailable(result: Written | Error): boolean {
  return 'ok' in result && !result.ok && result.error.code === 'unavailable'
}

/**
 * Gives what is called after each commit, when its answers are under way: brings the write-ahead log over into the file now
 * and then, and begins it anew once it is long. That waits, for a moment, for readers that still read from it; they let go of
 * it soon after each commit (see `openReader`).
 */
function checkpoints(db: DatabaseSync) {
  const passive = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  const restart = db.prepare('PRAGMA wal_checkpoint(RESTART)')
  let commits = 0
  let changes = 0
  db.exec(`PRAGMA journal_size_limit = ${longestIdleLog}`)

  return (changed: number) => {
    commits++
    changes += changed
    if (commits < checkpointCommits && changes < checkpointChanges) return
    commits = 0
    changes = 0
    try {
      if (Number(passive.get()?.['log'] ?? 0) < restartPages) return
      db.exec(`PRAGMA busy_timeout = ${restartWaitMs}`)
      restart.get()
    } catch {
      // A full or failing disk: the commits are safe in the log, and the next write reports what is wrong.
    } finally {
      db.exec(`PRAGMA busy_timeout = ${lockWaitMs}`)
    }
  }
}
