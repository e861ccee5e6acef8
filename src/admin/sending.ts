import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { htmlPage, type Answer } from './answers.ts'

/** Sends an answer with the headers that all answers have. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  common: Record<string, string>,
): void {
  if (response.destroyed) return
  const { type, text } = rendered(answer)
  const headers: Record<string, string | number> = { ...type, ...common, ...answer.headers }
  if (text !== undefined && !headers['Transfer-Encoding']) headers['Content-Length'] = Buffer.byteLength(text)
  response.writeHead(answer.status, headers)
  response.end(request.method === 'HEAD' ? undefined : text)
}

function rendered({ body, page, text }: Answer): { type: Record<string, string>; text?: string } {
  if (text !== undefined) return { type: {}, text }
  if (page !== undefined) return { type: { 'Content-Type': 'text/html; charset=UTF-8' }, text: page }
  if (body === undefined) return { type: {} }
  return { type: { 'Content-Type': 'application/json; charset=utf-8' }, text: JSON.stringify(body) }
}

/** What node's parser says of bytes that it could not read. */
export type Unreadable = NodeJS.ErrnoException & { readonly rawPacket?: Buffer }

/** The answer to a request of which only the path is known. */
export type AnswerToPath = (path: string) => { readonly answer: Answer; readonly headers: Record<string, string> }

/** Answers what node's parser could not read: a page as nginx sends it, or the right JSON where only the method was unknown. */
export function refuse(error: Unreadable, socket: Duplex, unknownMethod: AnswerToPath): void {
  const underWay = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage
  if (underWay) {
    // An answer to an earlier request on the connection goes first.
    underWay.once('close', () => refuse(error, socket, unknownMethod))
    return
  }
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const path = error.code === 'HPE_INVALID_METHOD' ? pathOfUnknownMethod(error.rawPacket) : undefined
  const known = path === undefined ? undefined : unknownMethod(path)
  const answer = known?.answer ?? htmlPage(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400)
  const { type, text = '' } = rendered(answer)
  const headers = { ...type, ...known?.headers, 'Content-Length': String(Buffer.byteLength(text)), Connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_TEXTS[answer.status]}\r\n${lines.join('')}\r\n${text}`)
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
}

function pathOfUnknownMethod(packet: Buffer | undefined): string | undefined {
  return /^[A-Z]{1,32} (\/[^\s]*) HTTP\/1\.[01]\r\n/.exec(packet?.toString('latin1', 0, 8192) ?? '')?.[1]
}
