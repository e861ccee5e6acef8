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
import type { WriterOperation } from '../sqlite/operations.ts'
import type { Part } from '../sqlite/parts.ts'
import { type Content, openContent } from '../sqlite/replace-all.ts'
import { rowsOf } from '../sqlite/rows.ts'
import { type Change, type Stored, untold, type Written } from '../store.ts'
import { copying } from './copying.ts'
import {
  stampName,
  type Cleared,
  type CopyData,
  type FromCopy,
  type Proposal,
  type Put,
  type ToCopy,
} from './messages.ts'
import { step } from './statements.ts'

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
interface Proposed {
  readonly cleared: readonly Cleared[]
  readonly puts: readonly Change[]
}

const nothing: Proposed = { cleared: [], puts: [] }
/** What the open transaction comes to. */
let proposed: Proposed = nothing
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
    const given = obey(message)
    return given ? { say: 'done', given } : { say: 'done' }
  } catch (error) {
    group.rollback()
    return { say: 'failed', message: error instanceof Error ? error.message : String(error) }
  }
}

function obey(message: ToCopy): Extract<FromCopy, { say: 'done' }>['given'] {
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
    case 'read':
      return message.what === 'cleared' ? clearedFrom(message.from) : putsFrom(message.from)
    case 'commit':
      return commit(message.stamp)
    case 'rollback':
      proposed = nothing
      group.rollback()
  }
}

function commit(stamp: string): undefined {
  group.tables.setMeta(stampName, stamp)
  group.commit()
  proposed = nothing
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
  const contents: Content[] = []
  const gathered = (parts: readonly Part[]): Content => {
    const content = gather(parts)
    contents.push(content)
    return content
  }
  const whole = (operation: (typeof batches)[number][number]): WriterOperation =>
    operation.do === 'replace-all'
      ? { do: 'replace-all', entities: [], gathered: gathered(operation.parts) }
      : operation
  const results = group.apply(batches.map((operations) => operations.map(whole)))
  for (const content of contents) content.drop()
  group.record()
  const changes = group.changes()
  changed += changes.length
  proposed = { cleared: clearedOf(changes), puts: lastOfEach(changes) }
  return {
    results: results.map(told),
    count: changes.length,
    changes: changes.slice(-keep),
    cleared: { size: proposed.cleared.length, first: clearedFrom(0) },
    puts: { size: proposed.puts.length, first: putsFrom(0) },
  }
}

function gather(parts: readonly Part[]): Content {
  const content = openContent(db)
  for (const part of parts) {
    for (const [kind, bodies] of part) {
      const index = indexes.get(kind)
      if (!index) throw new TypeError(`the store knows no kind ${kind}`)
      for (const body of bodies.split('\n')) content.add(index, body)
    }
  }
  return content
}

/** Of more changes than the log keeps the newest are told of, and one stands for the others. */
function told(result: Written | Error): Written | Error {
  if (result instanceof Error || !result.ok || result.changes.length <= keep) return result
  const newest = result.changes.slice(-keep)
  const more = result.changes.length - keep
  return { ...result, changes: [untold(result.revision - keep), ...newest], more }
}

const clearedFrom = (from: number): readonly Cleared[] => proposed.cleared.slice(from, from + step)
const putsFrom = (from: number): readonly Put[] => proposed.puts.slice(from, from + step).map(putOf)

/** What was there before: nothing stands in the way of an entity that is new. */
function clearedOf(changes: readonly Change[]): readonly Cleared[] {
  const old = new Map<string, Cleared>()
  const added = new Set<string>()
  for (const { kind, id, operation } of changes) {
    const name = `${kind} ${id}`
    if (operation === 'insert' && !old.has(name)) added.add(name)
    else if (!added.has(name)) old.set(name, { kind, id, isGone: operation === 'delete' })
  }
  return [...old.values()]
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
