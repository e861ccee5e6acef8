/** Attackers, in a process of their own: connections that are held by sending or reading next to nothing. */
import net from 'node:net'
import { flag, frameHead, frameType, preface, setting, settingsFrame } from '../../src/proxy/http2/frames.ts'
import { dataFrame, requestFrames } from '../../test/e2e/http2-wire.ts'
import { encodeField } from '../../src/proxy/http2/hpack.ts'

export interface Attack {
  readonly kind: AttackKind
  readonly port: number
  readonly count: number
}

/** Of a header block of 28 KiB all but the end. */
const fields = encodeField('x-full', 'x'.repeat(14_000))
const openBlock =
  frameHead(fields.length, frameType.headers, flag.endStream, 1) +
  fields +
  frameHead(fields.length, frameType.continuation, 0, 1) +
  fields

const openBody = (stream: number): string =>
  requestFrames(stream, '/small', { open: true, fields: [['content-length', '65000']] }) +
  dataFrame(stream, 'x'.repeat(15_000)).repeat(4)

/** What an attacker sends at once, and what it adds now and then. */
const kinds = {
  /** No attack: a connection that is kept after a request. */
  idle: { first: 'GET /small HTTP/1.1\r\nHost: a\r\n\r\n', more: '' },
  'slow head': { first: 'GET /small HTTP/1.1\r\nHost: a\r\nX-Slow: ', more: 'x' },
  'slow body': { first: 'POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n', more: 'x' },
  'slow read': { first: 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n', more: '' },
  /** What the sockets between take whole. */
  'short read': { first: 'GET /medium HTTP/1.1\r\nHost: a\r\n\r\n', more: '' },
  /** Of a head of 32 KiB and a body of 64 KiB all but the end. */
  'full head': {
    first: `GET /small HTTP/1.1\r\nHost: a\r\n${`X-Full: ${'x'.repeat(4000)}\r\n`.repeat(7)}X-Last: `,
    more: 'x',
  },
  'full body': {
    first: `POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n${'x'.repeat(64_000)}`,
    more: 'x',
  },
  'HTTP/2 idle': { first: preface + settingsFrame([]) + requestFrames(1, '/small'), more: '' },
  'HTTP/2 full head': {
    first: preface + settingsFrame([]) + openBlock,
    more: `${frameHead(1, frameType.continuation, 0, 1)}x`,
  },
  /** Two requests in each connection. */
  'HTTP/2 full bodies': { first: preface + settingsFrame([]) + openBody(1) + openBody(3), more: dataFrame(1, 'x') },
  /** Answers for which there is no window. */
  'HTTP/2 slow read': {
    first: preface + settingsFrame([[setting.initialWindowSize, 0]]) + requestFrames(1, '/large'),
    more: '',
  },
} as const
export type AttackKind = keyof typeof kinds

/** Each attacker adds something once in so long. */
const roundMs = 10_000
const tickMs = 100
/** So many connections are made at once. */
const step = 50

process.on(
  'message',
  (attacks: readonly Attack[]) => void Promise.all(attacks.map(begin)).then(() => process.send?.(held)),
)
process.on('disconnect', () => process.exit())

const held = { open: 0, closed: 0 }

async function begin({ kind, port, count }: Attack): Promise<void> {
  const { first, more } = kinds[kind]
  const sockets: net.Socket[] = []
  while (sockets.length < count) {
    const next = Array.from({ length: Math.min(step, count - sockets.length) }, (_, at) =>
      // One address has not enough ports for many thousands.
      net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + ((sockets.length + at) % 8)}` }),
    )
    await Promise.all(next.map((socket) => opened(socket, first, kind)))
    sockets.push(...next)
  }
  let at = 0
  if (more !== '')
    setInterval(() => {
      for (let due = Math.ceil((sockets.length * tickMs) / roundMs); due > 0; due--) {
        const socket = sockets[at++ % sockets.length]
        if (socket && !socket.destroyed) socket.write(more, 'latin1')
      }
    }, tickMs)
}

function opened(socket: net.Socket, first: string, kind: AttackKind): Promise<void> {
  const isUnread = kind === 'slow read' || kind === 'short read'
  return new Promise((resolve) => {
    socket.on('error', () => {})
    socket.on('close', () => {
      held.closed++
      resolve()
    })
    socket.on('connect', () => {
      held.open++
      if (isUnread) socket.pause()
      socket.write(first, 'latin1')
      if (!kind.endsWith('idle')) resolve()
    })
    // An answer to what is kept open; of the others none is expected.
    if (!isUnread) socket.on('data', () => resolve())
  })
}
