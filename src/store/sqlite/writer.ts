/** The entry of the writer's thread: applies the batches that it is sent, all that wait together in one transaction. */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Operation, Written } from '../store.ts'
import { checkpoints } from './checkpoints.ts'
import { cleaning } from './cleaning.ts'
import { connect } from './file.ts'
import { gathering } from './gathering.ts'
import { groupCommit } from './group.ts'
import type { Batch, FromWriter, ToWriter, WriterData } from './messages.ts'
import type { WriterOperation } from './operations.ts'
import { type Content, openContent } from './replace-all.ts'

/** How often entities whose time is over are deleted, in ms. */
const burialMs = 1000

const { file, kinds, keep } = workerData as WriterData
const port = parentPort
if (!port) throw new Error('the writer runs in a thread of its own')

const db = connect(file)
const commit = groupCommit(db, kinds, { keep, now: Date.now })
const checkpointAfter = checkpoints(db)
const { clean } = cleaning(db)
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
clean()

function* waiting(port: MessagePort): Iterable<ToWriter> {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) yield next.message as ToWriter
}

function writesOf(messages: Iterable<ToWriter>): Write[] {
  const writes: Write[] = []
  for (const message of messages) {
    if (message.say === 'close') closing = true
    else if (message.say === 'content') gather(message)
    else if (message.say === 'forget') forget(message.batch)
    else
      for (const { batch, operations } of message.batches)
        writes.push({ batch, operations: operations.map((operation, at) => whole(operation, batch, at)) })
  }
  return writes
}

/** Between writes: a part is a transaction of its own, of temporary tables alone. */
function gather({ batch, at, kind, bodies }: Extract<ToWriter, { say: 'content' }>): void {
  const place = `${batch}/${at}`
  const content = contents.get(place) ?? openContent(db)
  const index = indexes.get(kind)
  if (!index) throw new TypeError(`the store knows no kind ${kind}`)
  contents.set(place, content)
  db.exec('BEGIN')
  for (const body of bodies.split('\n')) content.add(index, body)
  db.exec('COMMIT')
  send({ say: 'gathered' })
}

/** An operation with what was gathered for it. */
function whole(operation: Operation, batch: number, at: number): WriterOperation {
  const gathered = contents.get(`${batch}/${at}`)
  return operation.do === 'replace-all' && gathered ? { ...operation, gathered } : operation
}

/** Forgets what was gathered for a batch. */
function forget(batch: number): void {
  for (const [place, content] of contents) {
    if (!place.startsWith(`${batch}/`)) continue
    contents.delete(place)
    content.drop()
  }
}

function write(writes: readonly Write[]): void {
  const group = commit(writes.map(({ operations }) => operations))
  // One batch too big for the disk must not take the others with it.
  if (writes.length > 1 && group.results.every(isUnavailable)) return writes.forEach((single) => write([single]))
  const answers = group.results.map((result, at) => ({ batch: writes[at]?.batch ?? -1, result }))
  if (answers.length > 0 || group.changes.length > 0) {
    send({ say: 'committed', revision: group.revision, changes: group.changes, answers })
  }
  for (const { batch } of writes) forget(batch)
  checkpointAfter(group.changes.length)
  clean()
}

function close(): void {
  gathered.flush()
  clearInterval(burial)
  db.close()
  port?.close()
}

type Write = Batch

function isUnavailable(result: Written | Error): boolean {
  return 'ok' in result && !result.ok && result.error.code === 'unavailable'
}
