/** The service behind every gateway: as cheap as possible, so that it is never what is measured. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { acceptPlain, type SocketEvents } from '../src/proxy/http1/socket.ts'
import { sizeAsked, upstreamAnswer, upstreamAnswerOf } from './messages.ts'

const ignore = () => {}
const answers = new Map<number, Buffer>()

function answerOf(bytes: number): Buffer {
  const known = answers.get(bytes) ?? upstreamAnswerOf(bytes)
  answers.set(bytes, known)
  return known
}

/** Answers each request when all of it has come. Nothing is pipelined. */
function serve(socket: Socket): SocketEvents {
  let head = ''
  let answer: string | Buffer = upstreamAnswer
  /** Bytes of the body that are still to come. */
  let left = 0
  const reply = () => void (typeof answer === 'string' ? socket.write(answer, 'latin1') : socket.write(answer))
  return {
    onBytes(bytes, length) {
      if (left > 0) {
        left -= length
        if (left <= 0) reply()
        return
      }
      // Requests of most runs have no body and no wishes, so one has come when its last line is empty.
      const isShort = head === '' && length < 4096 && bytes[0] === 0x47 && bytes[13] === 0x20
      if (isShort && bytes.readUInt32BE(length - 4) === 0x0d0a0d0a) {
        socket.write(upstreamAnswer, 'latin1')
        return
      }
      head += bytes.toString('latin1', 0, length)
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      const size = sizeAsked(head)
      answer = size === undefined ? upstreamAnswer : answerOf(size)
      left = Number(/\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end + 2))?.[1] ?? 0) - (head.length - end - 4)
      head = ''
      if (left <= 0) reply()
    },
    onEnd: () => socket.destroy(),
    onDrain: ignore,
    onClose: ignore,
  }
}

/** Listens on a port of 127.0.0.1, which it gives. */
export async function listen(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  acceptPlain(server, serve)
  return (server.address() as AddressInfo).port
}
