/** Responses as broken, hijacked or hostile upstreams write them, and what becomes of each at the client. */

export interface ResponseCase {
  readonly name: string
  readonly method: 'GET' | 'HEAD'
  /** One character a byte. */
  readonly bytes: string
  /** Whether the upstream ends the connection behind it. */
  readonly ends: boolean
  /** The client gets 502; or this body, whole; or this body and sees that it was cut. */
  readonly outcome: 502 | { readonly body: string; readonly cut?: true; readonly status?: number }
}

const hello = 'hello'
const whole = { body: hello }
const response = (lines: readonly string[], body: string = hello, line = 'HTTP/1.1 200 OK') =>
  [line, ...lines, '', body].join('\r\n')
const sized = (...lines: readonly string[]) => response(['Content-Length: 5', ...lines])
const chunked = (body: string) => response(['Transfer-Encoding: chunked'], body)
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
const shown = (bytes: string) =>
  JSON.stringify(bytes).replaceAll(/[\u007f-\u00ff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`)

function each(
  family: string,
  values: readonly string[],
  bytes: (value: string) => string,
  outcome: ResponseCase['outcome'],
  more: Partial<ResponseCase> = {},
): ResponseCase[] {
  return values.map((value) => ({
    name: `${family}: ${shown(value)}`,
    method: 'GET',
    bytes: bytes(value),
    ends: false,
    outcome,
    ...more,
  }))
}

const controls = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).filter(
  (control) => control !== '\t',
)

export const responseCases: readonly ResponseCase[] = [
  ...each(
    'a status line',
    [
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200 ',
      'HTTP/1.1 200',
      'HTTP/1.1 200 Very  fine\t!',
      'HTTP/1.1 299 X',
      'HTTP/1.1 599 X',
    ],
    (line) => response(['Content-Length: 5'], hello, line),
    { body: hello, status: 0 },
  ),
  ...each(
    'no status line',
    [
      'HTTP/1.1',
      'HTTP/1.1 ',
      'HTTP/1.1 20',
      'HTTP/1.1 2000',
      'HTTP/1.1 2x0 OK',
      'HTTP/1.1 -20 OK',
      'HTTP/1.1  200 OK',
      'HTTP/1.1\t200 OK',
      'HTTP/1.1 099 X',
      'HTTP/1.1 000 X',
      'HTTP/2 200',
      'HTTP/2.0 200 OK',
      'HTTP/0.9 200 OK',
      'HTTP/1.2 200 OK',
      'http/1.1 200 OK',
      'ICY 200 OK',
      ' HTTP/1.1 200 OK',
      'HTTP/1.1 200OK',
      'HTTP/1.1 200 O\x00K',
      'HTTP/1.1 200 OK\x7f',
      'HTTP/1.1 200 OK\r',
      '{"a":1}',
      '\x00\x00',
    ],
    (line) => response(['Content-Length: 5'], hello, line),
    502,
  ),
  ...each(
    'a length',
    ['', '+5', '-5', '0x5', '5.0', '5,5', '5, 5', '5 5', 'five', '5;', '18446744073709551621', '5\x00', '5\x0b'],
    (value) => response([`Content-Length: ${value}`]),
    502,
  ),
  ...each(
    'two lengths',
    ['5', '6', '0', ''],
    (value) => response(['Content-Length: 5', `Content-Length: ${value}`]),
    502,
  ),
  ...each(
    'a coding',
    [
      'gzip',
      'identity',
      'gzip, chunked',
      'chunked, gzip',
      'chunked, chunked',
      'xchunked',
      'chunked;q=1',
      '"chunked"',
      '',
      ',chunked',
      'chunked,',
    ],
    (value) => response([`Transfer-Encoding: ${value}`], '5\r\nhello\r\n0\r\n\r\n'),
    502,
  ),
  ...each(
    'two codings',
    ['chunked', 'identity', 'gzip'],
    (value) => response(['Transfer-Encoding: chunked', `Transfer-Encoding: ${value}`], '5\r\nhello\r\n0\r\n\r\n'),
    502,
  ),
  ...each(
    'a length and a coding',
    ['chunked', 'identity', 'gzip', 'Chunked'],
    (value) => response(['Content-Length: 5', `Transfer-Encoding: ${value}`], '5\r\nhello\r\n0\r\n\r\n'),
    502,
  ),
  ...each(
    'a coding and a length',
    ['5', '15', '0'],
    (value) => response(['Transfer-Encoding: chunked', `Content-Length: ${value}`], '5\r\nhello\r\n0\r\n\r\n'),
    502,
  ),
  ...each(
    'a coding in an old response',
    ['HTTP/1.0 200 OK'],
    (line) => response(['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n', line),
    502,
  ),
  ...each(
    'a header line',
    [
      ' A: b',
      '\tA: b',
      'A : b',
      'A',
      ': b',
      'A: b\nC: d',
      'A: b\rC: d',
      'A: b\r\n c',
      'A\x00: b',
      'A: b\x00',
      '\x0bA: b',
      'A(: b',
      'A\xa0: b',
      'HTTP/1.1 200 OK',
    ],
    (line) => sized(line),
    502,
  ),
  ...each('a control in a value', [...controls, '\x7f'], (control) => sized(`A: b${control}c`), 502),
  ...each(
    'a value with',
    ['\x80', '\xff', '\t', '', 'a\tb', '"', '\\', '%0d%0aA: b'],
    (value) => sized(`A: ${value}`),
    whole,
  ),
  ...each(
    'a head that ends with',
    ['\n\n', '\r\n\n', '\n\r\n', '\r\r\n\r\n'],
    (end) => `HTTP/1.1 200 OK\r\nContent-Length: 5${end}hello`,
    502,
    { ends: true },
  ),
  ...each(
    'a split response',
    ['X-A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'],
    (lines) => `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${lines}`,
    { body: '' },
  ),
  ...each('a head that is too long', ['X'.repeat(40_000)], (value) => sized(`A: ${value}`), 502),
  ...each('too many lines', ['X'], (name) => sized(...Array.from({ length: 1001 }, (_, at) => `${name}${at}: 1`)), 502),
  ...each(
    'a chunk of size',
    [
      '',
      ' ',
      '+5',
      '-5',
      '0x5',
      '5h',
      'g',
      '5 ',
      ' 5',
      '5\t',
      '5,',
      '5\x00',
      '5\n',
      '5\r',
      '"5"',
      '00000000000005',
      'ffffffffffffffff',
    ],
    (size) => chunked(`${size}\r\nhello\r\n0\r\n\r\n`),
    { body: '', cut: true },
  ),
  ...each(
    'a chunk that ends with',
    ['', '\n', '\r', 'x\r\n', '\r\r\n'],
    (end) => chunked(`5\r\nhello${end}0\r\n\r\n`),
    { body: hello, cut: true },
  ),
  ...each(
    'a last chunk',
    ['0\n\n', '0\r\n\n', '-0\r\n\r\n', '0 \r\n\r\n', '0\r\nA\r\n\r\n', '0\r\n A: b\r\n\r\n', '0\r\nA : b\r\n\r\n'],
    (last) => chunked(`5\r\nhello\r\n${last}`),
    { body: hello, cut: true },
  ),
  ...each(
    'a chunk, well',
    [
      '5\r\nhello\r\n0\r\n\r\n',
      '05;a=b\r\nhello\r\n00\r\n\r\n',
      '1\r\nh\r\n4\r\nello\r\n0\r\nA: b\r\n\r\n',
      '2;x\r\nhe\r\n3\r\nllo\r\n0\r\nContent-Length: 3\r\n\r\n',
    ],
    (body) => chunked(body),
    whole,
  ),
  ...each(
    'more behind it',
    [poison, '\r\n', ' ', 'x', '\x00', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 500 X\r\n\r\n'],
    (more) => sized() + more,
    whole,
  ),
  ...each(
    'more behind its chunks',
    [poison, '\r\n', 'x', '0\r\n\r\n'],
    (more) => chunked('5\r\nhello\r\n0\r\n\r\n') + more,
    whole,
  ),
  ...each('a body longer than its length', ['!', ' world', poison], (more) => sized() + more, whole),
  ...each('content behind', ['204 No Content'], (status) => response([], poison, `HTTP/1.1 ${status}`), {
    body: '',
    status: 204,
  }),
  ...each(
    'content behind',
    ['304 Not Modified'],
    (status) => response(['Content-Length: 5'], poison, `HTTP/1.1 ${status}`),
    { body: '', status: 304 },
  ),
  ...each(
    'content behind HEAD',
    ['Content-Length: 5', 'Transfer-Encoding: chunked', 'X-A: b'],
    (line) => response([line], poison),
    { body: '' },
    { method: 'HEAD' },
  ),
  ...each(
    'nothing behind HEAD',
    ['Content-Length: 5', 'Transfer-Encoding: chunked', 'X-A: b'],
    (line) => response([line], ''),
    { body: '' },
    { method: 'HEAD' },
  ),
  ...each(
    'interim responses',
    [
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 103 X\r\nLink: a\r\n\r\n',
      'HTTP/1.1 102 X\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 199 X\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
    (interim) => interim + sized(),
    whole,
  ),
  ...each(
    'a switch that nobody asked for',
    ['101 Switching Protocols'],
    (status) => `HTTP/1.1 ${status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    502,
  ),
  ...each('interim responses without end', ['HTTP/1.1 102 X\r\n\r\n'], (interim) => interim.repeat(50), 502),
  ...each(
    'a broken interim response',
    ['HTTP/1.1 100 X\r\nA : b\r\n\r\n', 'HTTP/1.1 100\n\n'],
    (interim) => interim + sized(),
    502,
  ),
  ...each(
    'an end of the connection',
    ['', 'H', 'HTTP/1.1', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'],
    (bytes) => bytes,
    502,
    { ends: true },
  ),
  ...each(
    'an end within the body',
    ['', 'h', 'hell'],
    (body) => response(['Content-Length: 5'], body),
    { body: '*', cut: true },
    { ends: true },
  ),
  ...each(
    'an end within the chunks',
    ['', '5', '5\r\n', '5\r\nhel', '5\r\nhello', '5\r\nhello\r\n', '5\r\nhello\r\n0', '5\r\nhello\r\n0\r\n'],
    (body) => chunked(body),
    { body: '*', cut: true },
    { ends: true },
  ),
  ...each(
    'a body that the end tells',
    ['', hello, poison, '5\r\nhello\r\n0\r\n\r\n'],
    (body) => response([], body),
    { body: '=' },
    { ends: true },
  ),
  ...each('an old response', ['HTTP/1.0 200 OK'], (line) => response([], hello, line), whole, { ends: true }),
  ...each(
    'what is not HTTP',
    ['SSH-2.0-OpenSSH\r\n', '<html>hello</html>', '\x15\x03\x01\x00\x02\x02\x28', '220 smtp ready\r\n', '+PONG\r\n'],
    (bytes) => bytes,
    502,
  ),
]
