/** A small name server on 127.0.0.1 for tests: it answers from a table, over UDP, with messages made by hand (RFC 1035). */
import { type RemoteInfo, createSocket } from 'node:dgram'
import { once } from 'node:events'

/** Record data in the form it is sent, with a time to live in seconds. */
export interface Answer {
  readonly type: keyof typeof types
  readonly ttl: number
  readonly data: Buffer
  /** The name that the record belongs to, where it is not the one asked for. */
  readonly owner?: string
}

/** What is done with a question: answers, a response code, or silence. */
export type Reply = readonly Answer[] | { readonly rcode: number } | 'silence'

const types = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 }
/** The codes of RFC 1035 4.1.1 that tests use. */
export const serverFailed = { rcode: 2 }
export const noSuchName = { rcode: 3 }

export const a = (address: string, ttl: number): Answer => ({
  type: 'A',
  ttl,
  data: Buffer.from(address.split('.').map(Number)),
})
export const aaaa = (groups: readonly number[], ttl: number): Answer => {
  const data = Buffer.alloc(16)
  groups.forEach((group, index) => data.writeUInt16BE(group, index * 2))
  return { type: 'AAAA', ttl, data }
}
export const cname = (name: string, ttl: number): Answer => ({ type: 'CNAME', ttl, data: encodeName(name) })
export const srv = (priority: number, weight: number, port: number, name: string): Answer => {
  const head = Buffer.alloc(6)
  ;[priority, weight, port].forEach((number, index) => head.writeUInt16BE(number, index * 2))
  return { type: 'SRV', ttl: 60, data: Buffer.concat([head, encodeName(name)]) }
}

/** Starts it. `zone` says what to do with `NAME TYPE`; what it does not know is answered with "no such name". */
export async function startNameServer(zone: (question: string) => Reply | undefined) {
  const socket = createSocket('udp4')
  const questions: string[] = []
  socket.on('message', (message: Buffer, from: RemoteInfo) => {
    const question = readQuestion(message)
    questions.push(question.text)
    const reply = zone(question.text) ?? noSuchName
    if (reply !== 'silence') socket.send(encodeReply(message, question.end, reply), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    /** Every question so far, as `NAME TYPE`. */
    questions,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  }
}

function readQuestion(message: Buffer): { text: string; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const code = message.readUInt16BE(at + 1)
  const type = Object.entries(types).find(([, number]) => number === code)?.[0] ?? String(code)
  return { text: `${labels.join('.').toLowerCase()} ${type}`, end: at + 5 }
}

function encodeReply(query: Buffer, end: number, reply: Exclude<Reply, 'silence'>): Buffer {
  const answers = 'rcode' in reply ? [] : reply
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  // A response with recursion desired and available.
  head.writeUInt16BE(0x8180 | ('rcode' in reply ? reply.rcode : 0), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  return Buffer.concat([head, query.subarray(12, end), ...answers.map(encodeAnswer)])
}

function encodeAnswer({ type, ttl, data, owner }: Answer): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(types[type], 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([owner === undefined ? Buffer.from([0xc0, 12]) : encodeName(owner), fixed, data])
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1')),
    Buffer.from([0]),
  ])
}
