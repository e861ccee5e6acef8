import { ChunkedBody, LengthBody, noBody } from '../../src/proxy/http1/body.ts'
import { findHeadEnd, markSize, parseRequestHead, PartialHead } from '../../src/proxy/http1/head.ts'
import { limits, type OracleRequest, type Reading } from './oracle.ts'

/** Reads all requests of a text with the gateway's parser, as its connections do. */
export function parseAll(bytes: Buffer): Reading {
  const requests: OracleRequest[] = []
  let at = 0
  for (;;) {
    while (bytes[at] === 13 || bytes[at] === 10) at++
    if (at === bytes.length) return { requests, end: 'complete' }
    const headEnd = findHeadEnd(bytes, at, at, bytes.length)
    if (headEnd < 0)
      return { requests, end: new PartialHead().check(bytes, at, bytes.length, limits) ? 'refused' : 'incomplete' }
    const head = parseRequestHead(bytes, at, headEnd, limits)
    if ('refused' in head) return { requests, end: 'refused' }
    const reader = head.chunked
      ? new ChunkedBody()
      : head.contentLength > 0
        ? new LengthBody(head.contentLength)
        : noBody
    let body = ''
    at = reader.read(bytes, headEnd, bytes.length, (from, start, end) => (body += from.toString('latin1', start, end)))
    if (reader.failed) return { requests, end: 'refused' }
    if (!reader.done) return { requests, end: 'incomplete' }
    const fields: [string, string][] = []
    for (let mark = 0; mark < head.marks.length; mark += markSize) {
      const [from, to, start, end] = head.marks.slice(mark, mark + 4)
      fields.push([head.text.slice(from, to), head.text.slice(start, end)])
    }
    requests.push({ method: head.method, target: head.target, fields, body })
  }
}
