/**
 * Everything the gateway itself says to a client: one table of texts, and the forms they take.
 * Source: Kong's answers as recorded in test/golden, and Kong's docs, "error_default_type".
 */
import type { Answer } from '../pdk/kong.ts'

/** A refusal or failure of the gateway's own: its status and its text; the form follows from `Accept`. */
export interface GatewayError {
  readonly status: number
  readonly message: string
  /** The type where the client names none it takes. nginx says the first group in JSON, the second in plain text. */
  readonly fallback: 'json' | 'plain'
  readonly headers?: readonly (readonly [string, string])[]
  /** Always answered with nginx's bare page of this title, whatever `Accept` says. */
  readonly page?: string
}

const error = (status: number, message: string, fallback: 'json' | 'plain'): GatewayError => ({
  status,
  message,
  fallback,
})

export const errors = {
  badRequest: error(400, 'Bad request', 'plain'),
  headTooLarge: error(400, 'Request header or cookie too large', 'plain'),
  requestTimeout: error(408, 'Request timeout', 'plain'),
  noRoute: error(404, 'no Route matched with those values', 'json'),
  methodNotAllowed: error(405, 'Method not allowed', 'plain'),
  lengthRequired: error(411, 'Length required', 'plain'),
  payloadTooLarge: error(413, 'Payload too large', 'plain'),
  uriTooLong: error(414, 'URI too long', 'plain'),
  misdirected: error(421, 'Misdirected Request', 'plain'),
  upgradeRequired: {
    ...error(426, 'Please use HTTPS protocol', 'json'),
    headers: [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'TLS/1.2, HTTP/1.1'],
    ],
  },
  http2Required: {
    ...error(426, 'Please use HTTP2 protocol', 'json'),
    headers: [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'HTTP/2'],
    ],
  },
  notGrpc: error(415, 'Non-gRPC request matched gRPC route', 'json'),
  unexpected: error(500, 'An unexpected error occurred', 'json'),
  notImplemented: { ...error(501, 'Not Implemented', 'plain'), page: '501 Not Implemented' },
  badGateway: error(502, 'An invalid response was received from the upstream server', 'plain'),
  noService: error(503, 'no Service found with those values', 'json'),
  nameResolution: error(503, 'name resolution failed', 'json'),
  overloaded: error(503, 'Too many incomplete requests', 'plain'),
  noPeer: error(503, 'failure to get a peer from the ring-balancer', 'json'),
  gatewayTimeout: error(504, 'The upstream server is timing out', 'plain'),
  versionNotSupported: error(505, 'HTTP version not supported', 'plain'),
} as const satisfies Record<string, GatewayError>

/** What is said of a status where nobody says more. */
const messages: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  402: 'Payment required',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  407: 'Proxy authentication required',
  408: 'Request timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length required',
  412: 'Precondition failed',
  413: 'Payload too large',
  414: 'URI too long',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  417: 'Expectation failed',
  418: "I'm a teapot",
  421: 'Misdirected request',
  422: 'Unprocessable entity',
  423: 'Locked',
  424: 'Failed dependency',
  425: 'Too early',
  426: 'Upgrade required',
  428: 'Precondition required',
  429: 'Too many requests',
  431: 'Request header fields too large',
  451: 'Unavailable for legal reasons',
  494: 'Request header or cookie too large',
  500: 'An unexpected error occurred',
  501: 'Not implemented',
  502: 'An invalid response was received from the upstream server',
  503: 'The upstream server is currently unavailable',
  504: 'The upstream server is timing out',
  505: 'HTTP version not supported',
  506: 'Variant also negotiates',
  507: 'Insufficient storage',
  508: 'Loop detected',
  510: 'Not extended',
  511: 'Network authentication required',
}

export const messageOf = (status: number): string => messages[status] ?? `The upstream server responded with ${status}`

/** What an error can look like. */
export type Form = 'json' | 'html' | 'xml' | 'plain' | 'grpc'

/** The form of a media type in `Accept` or in the setting `error_default_type`. */
export const formOf: Readonly<Record<string, Form>> = {
  'application/json': 'json',
  'text/json': 'json',
  'text/html': 'html',
  'application/xml': 'xml',
  'text/xml': 'xml',
  'text/plain': 'plain',
  'text/*': 'plain',
  'application/*': 'json',
  'application/grpc': 'grpc',
}

const grpcStatus: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  429: 8,
  502: 14,
  503: 14,
  504: 4,
}

/** Puts a gateway error into the form that the request's `Accept` header asks for. */
export function errorAnswer(
  problem: GatewayError,
  accept: string | undefined,
  requestId: string,
  plainForm: Form = 'plain',
): Answer {
  if (problem.page !== undefined) return pageAnswer(problem.status, problem.page, htmlUtf8)
  const form = chooseForm(accept, problem.fallback === 'plain' ? plainForm : problem.fallback)
  const { type, body, extra } = forms[form](problem, requestId)
  const headers: Answer['headers'] = [['Content-Type', type], ...extra, ...(problem.headers ?? [])]
  // gRPC clients read headers.
  return { status: problem.status, headers, body, ...(form === 'grpc' ? {} : { message: problem.message }) }
}

/** The form with the highest quality among those in `Accept` that we have; the first of equals. RFC 9110 12.5.1. */
function chooseForm(accept: string | undefined, fallback: Form): Form {
  if (accept === undefined) return fallback
  let best: Form = 'json'
  let bestQuality = 0
  for (const part of accept.split(',', 64)) {
    const [name, ...parameters] = part.split(';')
    const form = formOf[(name ?? '').trim().toLowerCase()]
    if (form === undefined) continue
    const quality = qualityOf(parameters)
    if (quality > bestQuality) [best, bestQuality] = [form, quality]
  }
  return best
}

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name, value] = parameter.split('=')
    if ((name ?? '').trim().toLowerCase() === 'q') return Number(value) || 0
  }
  return 1
}

interface Formed {
  readonly type: string
  readonly body: string
  readonly extra: readonly (readonly [string, string])[]
}

const formed = (type: string, body: string): Formed => ({ type: `${type}; charset=utf-8`, body, extra: [] })

const forms: Readonly<Record<Form, (problem: GatewayError, requestId: string) => Formed>> = {
  json: (problem, id) =>
    formed('application/json', `{\n  "message":${JSON.stringify(problem.message)},\n  "request_id":"${id}"\n}`),
  plain: (problem, id) => formed('text/plain', `${problem.message}\nrequest_id: ${id}\n`),
  html: (problem, id) =>
    formed(
      'text/html',
      '<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n  </head>\n  <body>\n' +
        `    <h1>Error</h1>\n    <p>${escapeMarkup(problem.message)}.</p>\n    <p>request_id: ${id}</p>\n  </body>\n</html>\n`,
    ),
  xml: (problem, id) =>
    formed(
      'application/xml',
      `<?xml version="1.0" encoding="UTF-8"?>\n<error>\n  <message>${escapeMarkup(problem.message)}</message>\n` +
        `  <requestid>${id}</requestid>\n</error>\n`,
    ),
  // What nginx itself finds (a bad upstream) has no gRPC form there; what the router or the balancer finds has only headers.
  grpc: (problem) =>
    problem.fallback === 'plain'
      ? formed('application/json', JSON.stringify({ message: problem.message }))
      : {
          type: '',
          body: '',
          extra: [
            ['grpc-status', String(grpcStatus[problem.status] ?? 2)],
            ['grpc-message', problem.message],
          ],
        },
}

const escapeMarkup = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const htmlUtf8 = 'text/html; charset=UTF-8'

const redirects: Readonly<Record<number, readonly [title: string, type: string]>> = {
  301: ['301 Moved Permanently', 'text/html'],
  302: ['302 Found', 'text/html'],
  307: ['307 Temporary Redirect', htmlUtf8],
  308: ['308 Permanent Redirect', htmlUtf8],
}

/** A redirect of the gateway's own, with the page that nginx shows. */
export function redirectAnswer(status: number, location: string): Answer {
  const [title, type] = redirects[status] ?? [String(status), htmlUtf8]
  const answer = pageAnswer(status, title, type)
  return { ...answer, headers: [...answer.headers, ['Location', location]] }
}

const pageAnswer = (status: number, title: string, type: string): Answer => ({
  status,
  headers: [['Content-Type', type]],
  body: `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`,
})
