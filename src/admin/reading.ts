import type { IncomingMessage } from 'node:http'
import { htmlPage, message, type Answer } from './answers.ts'
import { decodeBody, NO_BODY, parserFor, type Parsed } from './body.ts'
import type { Endpoint } from './types.ts'

/** Bodies that are being read may take this much memory altogether; above it new ones wait outside. */
const MAX_BYTES_READING = 128 * 1024 * 1024

const busy: Answer = { ...message(429, 'too many large requests at once; try again'), headers: { 'Retry-After': '1' } }

/** What bodies under way take of the memory, in bytes, and how long one may be. */
export interface Reading {
  bytes: number
  readonly longest: number
}

const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

/** Reads and parses the body of a method that has one; the content type is judged before the method and the body. */
export async function bodyOf(request: IncomingMessage, endpoint: Endpoint, reading: Reading): Promise<Parsed> {
  if (!WITH_BODY.has(request.method ?? '')) return { body: NO_BODY }
  const contentType = request.headers['content-type']
  const length = Number(request.headers['content-length'] ?? 0)
  if (contentType === undefined && length === 0 && request.headers['transfer-encoding'] === undefined)
    return { body: NO_BODY }
  const parser = parserFor(contentType, endpoint.accepts)
  if (typeof parser !== 'function') return { refusal: parser }
  if (!Object.hasOwn(endpoint.methods, request.method ?? '')) return { body: NO_BODY }
  if (length > reading.longest) return { refusal: htmlPage(413) }
  if (reading.bytes + length > MAX_BYTES_READING) return { refusal: busy }
  const bytes = await readBody(request, reading)
  return 'refusal' in bytes ? bytes : parser(decodeBody(bytes), contentType ?? '')
}

/** Collects a body; what is left of one that is refused is read and dropped, so that the client sees the answer. */
function readBody(request: IncomingMessage, reading: Reading): Promise<Buffer | { readonly refusal: Answer }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (result: Buffer | { readonly refusal: Answer }): void => {
      reading.bytes -= size
      size = 0
      request.removeAllListeners('data')
      request.resume()
      resolve(result)
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      reading.bytes += chunk.length
      chunks.push(chunk)
      if (size > reading.longest) finish({ refusal: htmlPage(413) })
      else if (reading.bytes > MAX_BYTES_READING) finish({ refusal: busy })
    })
    request.once('end', () => finish(Buffer.concat(chunks)))
    // The client went away or its body was malformed: there is nobody left to read this.
    request.once('error', () => finish({ refusal: htmlPage(400) }))
    request.once('close', () => finish({ refusal: htmlPage(400) }))
  })
}
