import { nestForm, type FormFault, type FormRecord } from './form.ts'

/** More parts are refused. */
const MAX_PARTS = 1000

/**
 * Reads a multipart/form-data body (RFC 7578) whose parts are all plain fields; a file's content counts as its field's text.
 * Malformed is what is not exactly as its boundary says.
 */
export function parseMultipart(text: string, contentType: string): FormRecord | FormFault {
  const boundary = boundaryOf(contentType)
  if (boundary === undefined) return 'malformed'
  const pieces = `\r\n${text}`.split(`\r\n--${boundary}`, MAX_PARTS + 3)
  const last = pieces.at(-1)
  if (pieces.length > MAX_PARTS + 2) return 'too many'
  if (pieces.length < 2 || !last?.startsWith('--')) return 'malformed'
  const entries = pieces.slice(1, -1).map(partOf)
  return nestForm(entries)
}

/** RFC 2046, 5.1.1: 1 to 70 characters, quoted where the header's grammar asks for it. */
function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType)
  return match?.[1] ?? match?.[2]
}

/** A part's field name and text; the name is undefined where its head has none. */
function partOf(piece: string): [string | undefined, string | undefined] {
  const end = piece.indexOf('\r\n\r\n')
  if (end < 0) return [undefined, undefined]
  return [nameOf(piece.slice(0, end)), piece.slice(end + 4)]
}

function nameOf(head: string): string | undefined {
  const disposition = head.split('\r\n').find((line) => /^content-disposition:\s*form-data\s*;/i.test(line))
  const match = disposition === undefined ? null : /;\s*name=(?:"([^"]*)"|([^\s;"]+))/i.exec(disposition)
  return match?.[1] ?? match?.[2]
}
