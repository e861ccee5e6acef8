/**
 * The entry of the thread that writes the local copy of a shared store: it follows the log, and works out what a write comes
 * to before the shared store is asked to take it.
 */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { checkpoints } from '../sqlite/checkpoints.ts'
import { cleaning } from '../sqlite/cleaning.ts'
import { connect } from '../sqlite/file.ts'
import { openGroup } from '../sqlite/group.ts'
import { rowsOf } from '../sqlite/rows.ts'
import type { Change, Stored } from '../store.ts'
import { copying } from './copying.ts'
import { stampName, type CopyData, type FromCopy, type Proposal, type Put, type ToCopy } from './messages.ts'

const { file, kinds, keep } = workerData as CopyData
const port = parentPort
if (!port) throw new Error('the local copy is written in a thread of its own')

const db = connect(file)
// What a power failure takes is asked for again: the shared store is the durable one.
db.exec('PRAGMA synchronous = NORMAL')
const indexes = new Map(kinds.map((index) => [index.kind, index]))
const group = openGroup(db, kinds, { keep, now: Date.now })
const copy = copying(db, group.tables, indexes)
const checkpointAfter = checkpoints(db)
const cleaned = cleaning(db)
/** Whether there was nothing before that which is being copied. */
let isFirst = false
let changed = 0

port.on('message', (message: ToCopy) => {
  if (message.do === 'close') {
    db.close()
    port.close()
    return
  }
  send(answerTo(message))
  if (db.isTransaction) return
  checkpointAfter(changed)
  changed = 0
  cleaned.clean()
})
send({ say: 'ready' })
cleaned.clean()

function send(message: FromCopy): void {
  port?.postMessage(message)
}

function answerTo(message: ToCopy): FromCopy {
  try {
    const proposal = obey(message)
    return proposal ? { say: 'done', proposal } : { say: 'done' }
  } catch (error) {
    group.rollback()
    return { say: 'failed', message: error instanceof Error ? error.message : String(error) }
  }
}

function obey(message: ToCopy): Proposal | undefined {
  switch (message.do) {
    case 'follow':
      begin()
      changed += message.changes.length
      copy.follow(message.changes)
      group.cutBack(message.changes.at(-1)?.revision ?? 0)
      if (message.commit !== undefined) commit(message.commit)
      return
    case 'forget':
      begin()
      isFirst = group.tables.kinds().length === 0
      return copy.forget()
    case 'copy':
      changed += message.entities.length
      return copy.take(message.entities)
    case 'finish':
      copy.finish(message.revision)
      if (isFirst) cleaned.spare()
      return
    case 'propose':
      return propose(message.batches, message.expired)
    case 'commit':
      return commit(message.stamp)
    case 'rollback':
      group.rollback()
  }
}

function commit(stamp: string): undefined {
  group.tables.setMeta(stampName, stamp)
  group.commit()
}

function begin(): void {
  if (!db.isTransaction) db.exec('BEGIN IMMEDIATE')
}

function propose(
  batches: Extract<ToCopy, { do: 'propose' }>['batches'],
  expired: Extract<ToCopy, { do: 'propose' }>['expired'],
): Proposal {
  group.begin()
  group.bury(expired)
  const results = group.apply(batches)
  group.record()
  const changes = group.changes()
  changed += changes.length
  return { results, changes, puts: lastOfEach(changes).map(putOf) }
}

/** An entity that was changed several times is put once. */
const lastOfEach = (changes: readonly Change[]): readonly Change[] => [
  ...new Map(changes.map((change) => [`${change.kind} ${change.id}`, change])).values(),
]

function putOf({ kind, id }: Change): Put {
  const index = indexes.get(kind)
  const found = group.tables.row(kind, id)
  const body = index ? found?.body : group.tables.meta(id)
  if (body === undefined || !index) return { kind, id, body: body ?? null, msLeft: null, keys: [], links: [] }
  const { keys, links } = rowsOf(index, JSON.parse(body) as Stored)
  return {
    kind,
    id,
    body,
    msLeft: found?.expires_at == null ? null : Math.max(0, Math.round(found.expires_at - Date.now())),
    keys: keys.map(({ field, value }) => ({ field, digest: createHash('sha256').update(value).digest('hex') })),
    links: links.map((link) => ({ field: link.field, toKind: link.kind, toId: link.id })),
  }
}
