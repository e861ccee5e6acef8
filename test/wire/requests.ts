/**
 * Requests as attackers and broken programs write them, and what becomes of each: refused, or read as one request with one end.
 * Behind every case another request follows on the same connection: behind a refusal it must never be believed.
 */

/** What the upstream gets, each character one byte. */
export interface Read {
  readonly method: string
  readonly target: string
  readonly body: string
}

export interface RequestCase {
  readonly name: string
  /** One character a byte. */
  readonly bytes: string
  /** The status of the refusal, or what is read. */
  readonly outcome: number | readonly Read[]
  /** Whether the connection ends behind it, though it was not refused. */
  readonly last?: true
  /** Header lines of the first request that the upstream must get, in lower case; and names that it must not get. */
  readonly kept?: readonly string[]
  readonly dropped?: readonly string[]
  /** Readers that may refuse what is sent on, and then read nothing behind it. */
  readonly refusedBy?: readonly string[]
}

const hello = 'hello'
const read = (method: string, body = '', target = '/x'): readonly Read[] => [{ method, target, body }]

const text = (line: string, lines: readonly string[], body: string) =>
  [line, 'Host: a', ...lines, '', body].join('\r\n')
const post = (...lines: readonly string[]) => text('POST /x HTTP/1.1', lines, hello)
const get = (...lines: readonly string[]) => text('GET /x HTTP/1.1', lines, '')
const chunkedHead = text('POST /x HTTP/1.1', ['Transfer-Encoding: chunked'], '')
const chunked = (body: string) => chunkedHead + body

/** A name for bytes that no terminal shows. */
export const shown = (bytes: string): string =>
  JSON.stringify(bytes).replaceAll(/[\u007f-\u00ff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`)

/** A case for each value. */
function each(
  family: string,
  values: readonly string[],
  bytes: (value: string) => string,
  outcome: number | readonly Read[] | ((value: string) => number | readonly Read[]),
  more: Partial<RequestCase> = {},
): RequestCase[] {
  return values.map((value) => ({
    name: `${family}: ${shown(value)}`,
    bytes: bytes(value),
    outcome: typeof outcome === 'function' ? outcome(value) : outcome,
    ...more,
  }))
}

const char = (code: number) => String.fromCharCode(code)
const controls = Array.from({ length: 32 }, (_, code) => char(code)).filter((control) => control !== '\t')
const separators = '()<>@,;\\"/[]?={}'.split('')
const highBytes = ['\x80', '\x85', '\xa0', '\xad', '\xc2', '\xff']

const badNumbers = [
  '',
  ' ',
  '+5',
  '-5',
  '5+',
  '5-',
  '0x5',
  '0X5',
  '5h',
  '5.0',
  '5.',
  '.5',
  '5e0',
  '5,5',
  '5, 5',
  '5,',
  ',5',
  '5;',
  '5;a=b',
  ';5',
  '5 5',
  '5\t5',
  '"5"',
  "'5'",
  '(5)',
  '5%35',
  '%35',
  '1_0',
  '5/5',
  '5:5',
  '5=5',
  'five',
  'NaN',
  'Infinity',
  'null',
  'true',
  'chunked',
  '5\x00',
  '\x005',
  '5\x0b',
  '\x0b5',
  '5\x0c',
  '5\x7f',
  '5\x85',
  '\xa05',
  '5\xa0',
  '\xd9\xa5',
  '\xef\xbc\x95',
  '5\r',
  '\r5',
  '4294967301000000',
  '18446744073709551621',
  '9007199254740993',
  '00000000000000005',
  '1'.padEnd(400, '0'),
]

const contentLength: readonly RequestCase[] = [
  ...each('Content-Length', badNumbers, (value) => post(`Content-Length: ${value}`), 400),
  ...each(
    'Content-Length of a GET',
    badNumbers,
    (value) => text('GET /x HTTP/1.1', [`Content-Length: ${value}`], hello),
    400,
  ),
  ...each(
    'Content-Length, spaced',
    ['5', ' 5', '5 ', '\t5', '5\t', ' \t 5 \t ', '05', '000000000000005'],
    (value) => post(`Content-Length:${value}`),
    read('POST', hello),
  ),
  ...each(
    'Content-Length, name',
    ['content-length', 'CONTENT-LENGTH', 'cOnTeNt-lEnGtH'],
    (name) => post(`${name}: 5`),
    read('POST', hello),
  ),
  ...each(
    'two Content-Lengths',
    ['5', '0', '6', '05', ''],
    (value) => post('Content-Length: 5', `Content-Length: ${value}`),
    400,
  ),
  ...each(
    'two Content-Lengths, the first',
    ['0', '6', '05', ''],
    (value) => post(`Content-Length: ${value}`, 'Content-Length: 5'),
    400,
  ),
  ...each(
    'two Content-Lengths apart',
    ['content-length', 'CONTENT-LENGTH'],
    (name) => post('Content-Length: 5', 'A: b', `${name}: 5`),
    400,
  ),
  ...each(
    'Content-Length in HTTP/1.0',
    ['5'],
    (value) => `POST /x HTTP/1.0\r\nContent-Length: ${value}\r\n\r\n${hello}`,
    read('POST', hello),
    { last: true },
  ),
]

const unknownCodings = [
  'xchunked',
  'chunkedx',
  'chunk',
  'chun ked',
  '"chunked"',
  "'chunked'",
  'chunked;q=1',
  'chunked; a=b',
  'chunked ;',
  'chunked=',
  '(chunked)',
  'gzip',
  'gzip, chunked',
  'chunked, gzip',
  'chunked, chunked',
  'chunked,chunked',
  'identity',
  'identity, chunked',
  'chunked, identity',
  ',chunked',
  'chunked,',
  'chunked,,',
  ', chunked',
  '',
  'deflate',
  'compress',
  'br',
  'trailers',
  'x',
  'x: chunked',
  'chunked\tchunked',
  '\xa0chunked',
  'chunked\xa0',
  '\xefchunked',
  'chunked\x85',
  'chunked\\',
  'chunked/',
  'c%68unked',
  'chunked chunked',
  'chunked, x',
]
const brokenCodings = [
  '\x0bchunked',
  'chunked\x0b',
  'chunked\x00',
  '\x00chunked',
  'chunked\x7f',
  'chunked\x0c',
  '\x1fchunked',
  'chun\rked',
  'chunked\r',
  '\rchunked',
]
const chunkedHello = '5\r\nhello\r\n0\r\n\r\n'

const transferEncoding: readonly RequestCase[] = [
  ...each(
    'Transfer-Encoding',
    unknownCodings,
    (value) => text('POST /x HTTP/1.1', [`Transfer-Encoding: ${value}`], chunkedHello),
    501,
  ),
  ...each(
    'Transfer-Encoding with a control',
    brokenCodings,
    (value) => text('POST /x HTTP/1.1', [`Transfer-Encoding: ${value}`], chunkedHello),
    400,
  ),
  ...each(
    'Transfer-Encoding, spelled',
    ['chunked', 'Chunked', 'CHUNKED', ' chunked ', '\tchunked\t', 'chunKed'],
    (value) => text('POST /x HTTP/1.1', [`Transfer-Encoding:${value}`], chunkedHello),
    read('POST', hello),
  ),
  ...each(
    'Transfer-Encoding, name',
    ['transfer-encoding', 'TRANSFER-ENCODING', 'tRANSFER-eNCODING'],
    (name) => text('POST /x HTTP/1.1', [`${name}: chunked`], chunkedHello),
    read('POST', hello),
  ),
  ...each(
    'two Transfer-Encodings',
    ['chunked', 'identity', 'gzip', '', 'x'],
    (value) => text('POST /x HTTP/1.1', ['Transfer-Encoding: chunked', `Transfer-Encoding: ${value}`], chunkedHello),
    400,
  ),
  ...each(
    'two Transfer-Encodings, the first',
    ['identity', 'gzip', '', 'x', 'cow'],
    (value) => text('POST /x HTTP/1.1', [`Transfer-Encoding: ${value}`, 'Transfer-Encoding: chunked'], chunkedHello),
    400,
  ),
  ...each(
    'chunked in',
    ['HTTP/1.0'],
    (version) => text(`POST /x ${version}`, ['Transfer-Encoding: chunked'], chunkedHello),
    400,
  ),
  ...each(
    'chunked body of',
    ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'],
    (method) => text(`${method} /x HTTP/1.1`, ['Transfer-Encoding: chunked'], chunkedHello),
    (method) => read(method, hello),
  ),
]

const bothLines = ['Content-Length: 5', 'Content-Length: 15', 'Content-Length: 0', 'content-length:5']
const bothCodings = [
  'Transfer-Encoding: chunked',
  'transfer-encoding: Chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: gzip, chunked',
]
const both: readonly RequestCase[] = bothLines.flatMap((length) =>
  bothCodings.flatMap((coding) => [
    ...each(
      'CL.TE',
      [`${length} / ${coding}`],
      () => text('POST /x HTTP/1.1', [length, coding], '0\r\n\r\nSMUGG'),
      400,
    ),
    ...each('TE.CL', [`${coding} / ${length}`], () => text('POST /x HTTP/1.1', [coding, length], chunkedHello), 400),
  ]),
)

/** Ways to write a name that some reader takes for it, and another does not. */
const disguises: Readonly<Record<string, (name: string, value: string) => string>> = {
  'a space before the colon': (name, value) => `${name} : ${value}`,
  'a tab before the colon': (name, value) => `${name}\t: ${value}`,
  'a space before it': (name, value) => ` ${name}: ${value}`,
  'a tab before it': (name, value) => `\t${name}: ${value}`,
  'a NUL behind it': (name, value) => `${name}\x00: ${value}`,
  'a NUL before it': (name, value) => `\x00${name}: ${value}`,
  'a vertical tab before it': (name, value) => `\x0b${name}: ${value}`,
  'a form feed behind it': (name, value) => `${name}\x0c: ${value}`,
  'a CR before it': (name, value) => `\r${name}: ${value}`,
  'a CR behind it': (name, value) => `${name}\r: ${value}`,
  'a LF before it': (name, value) => `A: b\n${name}: ${value}`,
  'a CR alone as line end before it': (name, value) => `A: b\r${name}: ${value}`,
  'a CR too many': (name, value) => `A: b\r\r\n${name}: ${value}`,
  'a no-break space behind it': (name, value) => `${name}\xa0: ${value}`,
  'a soft hyphen in it': (name, value) => `${name.replace('-', '\xad')}: ${value}`,
  'a quote around it': (name, value) => `"${name}": ${value}`,
  'a fold in its value': (name, value) => `${name}:\r\n ${value}`,
  'a fold with a tab': (name, value) => `${name}:\r\n\t${value}`,
  'a fold behind its value': (name, value) => `${name}: ${value}\r\n x`,
  'a fold with a bare LF': (name, value) => `${name}:\n ${value}`,
  'no colon': (name, value) => `${name} ${value}`,
  'a slash in it': (name, value) => `${name.replace('-', '/')}: ${value}`,
}
const disguised: readonly RequestCase[] = [
  ['Content-Length', '5'],
  ['Transfer-Encoding', 'chunked'],
  ['Host', 'b'],
].flatMap(([name = '', value = '']) =>
  Object.entries(disguises).map(([how, write]) => ({
    name: `${name} with ${how}`,
    bytes: text('POST /x HTTP/1.1', [write(name, value)], chunkedHello),
    outcome: 400,
  })),
)

// Read as framing by programs that take `_` for `-` (CGI and its heirs), so that it is not passed on.
const underscored: readonly RequestCase[] = [
  ...each(
    'a name with _',
    ['Content_Length: 5', 'content_length: 100', 'Transfer_Encoding: chunked', 'TRANSFER_ENCODING: chunked'],
    (line) => get(line),
    read('GET'),
    { dropped: ['content_length', 'transfer_encoding'] },
  ),
]

const headLines: readonly RequestCase[] = [
  ...each('a control in a name', controls, (control) => get(`A${control}B: c`), 400),
  ...each(
    'a separator in a name',
    [...separators, ' ', '\t', '\x7f', ...highBytes],
    (separator) => get(`A${separator}B: c`),
    400,
  ),
  ...each('a control in a value', [...controls, '\x7f'], (control) => get(`A: b${control}c`), 400),
  ...each(
    'a control at the end of a value',
    [...controls, '\x7f'].filter((control) => control !== '\n' && control !== '\r'),
    (control) => get(`A: b${control}`),
    400,
  ),
  ...each('a byte beyond ASCII in a value', highBytes, (byte) => get(`A: b${byte}c`), read('GET'), {}),
  ...each(
    'a line that is none',
    ['', ':', ': b', 'A', '=', '\x00', ' ', '\t', '\r', 'A b', 'GET / HTTP/1.1', 'HTTP/1.1 200 OK'].filter(
      (line) => line !== '',
    ),
    (line) => get('A: b', line, 'C: d'),
    400,
  ),
  ...each(
    'a folded line',
    ['A: b\r\n c', 'A: b\r\n\tc', 'A:\r\n b', 'A: b\r\n \r\n c', 'Host:\r\n a'],
    (line) => get(line),
    400,
  ),
  ...each(
    'a fold before the first line',
    [' A: b', '\tA: b', ' \r\nA: b'],
    (line) => `GET /x HTTP/1.1\r\n${line}\r\nHost: a\r\n\r\n`,
    400,
  ),
  ...each('an empty value', ['A:', 'A: ', 'A:\t'], (line) => get(line), read('GET')),
  ...each(
    'a head that ends with',
    ['\n\n', '\r\n\n', '\n\r\n', '\r\r\n\r\n'],
    (end) => `GET /x HTTP/1.1\r\nHost: a${end}`,
    400,
  ),
  ...each(
    'a request line that ends with',
    ['\n', '\r', '\r\r\n', ' \r\n', '\t\r\n', '\x00\r\n'],
    (end) => `GET /x HTTP/1.1${end}Host: a\r\n\r\n`,
    400,
  ),
  ...each('empty lines before', ['\r\n', '\r\n\r\n', '\n'], (lines) => lines + get(), read('GET')),
  ...each('101 lines', ['X'], (name) => get(...Array.from({ length: 100 }, (_, at) => `${name}-${at}: 1`)), 400),
  ...each(
    'two Authorizations',
    ['Basic eDp5', 'Bearer x'],
    (value) => get('Authorization: Basic eDp5', `authorization: ${value}`),
    400,
  ),
]

const versions: readonly RequestCase[] = [
  ...each(
    'version',
    [
      'HTTP/1',
      'HTTP/1.',
      'HTTP/1.10',
      'HTTP/01.1',
      'HTTP/1.01',
      'HTTP/+1.1',
      'HTTP/-1.1',
      'HTTP/1.1.1',
      'HTTP/1,1',
      'HTTP/1 1',
      'HTTP/A.1',
      'HTTP/1.A',
      'http/1.1',
      'Http/1.1',
      'HTTPS/1.1',
      'HTTP 1.1',
      'HTTP/ 1.1',
      'HTTP /1.1',
      'HTP/1.1',
      'HTTP/1.1x',
      'HTTP/1.1 x',
      'ICE/1.0',
      'RTSP/1.0',
      '1.1',
      '/1.1',
      'HTTP\x00/1.1',
      'HTTP/1\x00.1',
    ],
    (version) => `GET /x ${version}\r\nHost: a\r\n\r\n`,
    400,
  ),
  ...each(
    'another version',
    ['HTTP/0.9', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9', 'HTTP/0.0'],
    (version) => `GET /x ${version}\r\nHost: a\r\n\r\n`,
    505,
  ),
  ...each(
    'a later minor version',
    ['HTTP/1.2', 'HTTP/1.9'],
    (version) => `GET /x ${version}\r\nHost: a\r\n\r\n`,
    read('GET'),
  ),
  ...each('no version', ['GET /x', 'GET /x ', 'GET', 'GET ', 'POST /x'], (line) => `${line}\r\nHost: a\r\n\r\n`, 400),
  ...each('the preface of HTTP/2', ['PRI * HTTP/2.0'], (line) => `${line}\r\n\r\nSM\r\n\r\n`, 505),
  ...each(
    'bytes of another protocol',
    [
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
      'SSH-2.0-x\r\n\r\n',
      '\x00\x00\r\n\r\n',
      '*1\r\n$4\r\nPING\r\n\r\n',
      'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n',
    ],
    (bytes) => bytes,
    400,
  ),
]

const targets: readonly RequestCase[] = [
  ...each(
    'a method with',
    ['get', 'Get', 'G ET', 'G\tET', 'GET\t', '\x00GET', 'GE\x00T', 'G(T', 'GET:', '"GET"', 'GÉT', '1GET', '{', ''],
    (method) => `${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`,
    400,
  ),
  ...each(
    'space before the method',
    [' GET', '\tGET', '\x0bGET'],
    (method) => `${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`,
    400,
  ),
  ...each(
    'a method that is not proxied',
    ['TRACE', 'CONNECT'],
    (method) => `${method} /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    405,
  ),
  ...each(
    'a target with',
    [
      '/a b',
      '/a\tb',
      '/a\x00b',
      '/a\x7fb',
      '/a\x0bb',
      '/a\rb',
      '/a\x01',
      'x',
      '?x',
      '#x',
      '*',
      'x:y',
      '//',
      '../x',
      '\\x',
      '',
      'http:',
      'http:/x',
      'http://',
      'http:///x',
    ].filter((target) => target !== '//'),
    (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    400,
  ),
  ...each(
    'a target that leaves the root',
    ['/..', '/../x', '/x/../../y', '/%2e%2e/x', '/.%2e/x', '/x/%2e%2e/%2e%2e/y'],
    (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    400,
  ),
  ...each(
    'a target with a NUL',
    ['/%00', '/x%00y'],
    (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    400,
  ),
  ...each(
    'absolute form',
    ['http://b/x', 'HTTP://b/x', 'https://b/x', 'http://b:8080/x', 'http://user@b/x', 'http://[::1]/x'],
    (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
    read('GET'),
  ),
  ...each(
    'several spaces',
    ['GET  /x HTTP/1.1', 'GET /x  HTTP/1.1', 'GET   /x   HTTP/1.1'],
    (line) => `${line}\r\nHost: a\r\n\r\n`,
    read('GET'),
  ),
  ...each(
    'encoded line ends in',
    ['/x%0d%0aA:b', '/x%0a', '/x%0D%0A%0D%0AGET%20/y'],
    (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
    (target) =>
      read(
        'GET',
        '',
        target.replaceAll(/%0[ad]/gi, (escape) => escape.toUpperCase()),
      ),
  ),
  ...each(
    'a query with',
    ['a=b%0d%0aA:b', 'a=%00', '?', '&&', 'a=b?c', '//../', "'", '%zz', ';x'],
    (query) => `GET /x?${query} HTTP/1.1\r\nHost: a\r\n\r\n`,
    (query) => read('GET', '', `/x?${query}`),
  ),
]

const percentEncoded = (bytes: string): string =>
  bytes.replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)

/** UTF-8: letters, what some reader takes for a blank or a line end, and what looks like dots and slashes. */
const utf8 = [
  '\xc3\xbc',
  '\xe2\x82\xac',
  '\xf0\x9f\x90\x92',
  '\xc2\xa0',
  '\xc2\x85',
  '\xe2\x80\xa8',
  '\xef\xbb\xbf',
  '\xef\xbc\x8f',
  '\xef\xbc\x8e\xef\xbc\x8e\xef\xbc\x8f',
  '\xc4\x8d\xc4\x8a',
]
/** What is none: single bytes, a surrogate, beyond Unicode, and dots, slashes, NUL and line ends in too long a form. */
const notUtf8 = [
  '\x80',
  '\x85',
  '\xa0',
  '\xff',
  '\xc3',
  '\xc0\xaf',
  '\xc0\xae\xc0\xae\xc0\xaf',
  '\xe0\x80\xaf',
  '\xf0\x80\x80\xae',
  '\xc0\x80',
  '\xc0\x8d\xc0\x8a',
  '\xed\xa0\x80',
  '\xf5\x80\x80\x80',
]

/** Where bytes beyond ASCII may stand, and what is made of them. */
const nonAscii: readonly RequestCase[] = [
  ...each(
    'UTF-8 in a path',
    utf8.flatMap((bytes) => [bytes, percentEncoded(bytes), percentEncoded(bytes).toLowerCase()]),
    (bytes) => `GET /a${bytes}b/x HTTP/1.1\r\nHost: a\r\n\r\n`,
    (bytes) => read('GET', '', `/a${percentEncoded(bytes).toUpperCase()}b/x`),
  ),
  // No route matches it: a rule is text.
  ...each(
    'a path that is not UTF-8',
    notUtf8.flatMap((bytes) => [bytes, percentEncoded(bytes)]),
    (bytes) => `GET /a${bytes}b/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    404,
  ),
  // A query goes on as it is, as in Kong: it is no valid URI (RFC 3986 3.4), which strict readers say.
  ...each(
    'beyond ASCII in a query',
    [...utf8, ...notUtf8],
    (bytes) => `GET /x?a${bytes}=${bytes} HTTP/1.1\r\nHost: a\r\n\r\n`,
    (bytes) => read('GET', '', `/x?a${bytes}=${bytes}`),
    { refusedBy: ['node', 'haproxy', 'python'] },
  ),
  ...each(
    'beyond ASCII in a query, encoded',
    [...utf8, ...notUtf8],
    (bytes) => `GET /x?a=${percentEncoded(bytes)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    (bytes) => read('GET', '', `/x?a=${percentEncoded(bytes)}`),
  ),
  ...each(
    'an encoding that is none, in a path',
    ['%u002e', '%u', '%', '%2', '%zz', '%\xc3', '%c', '%uff0f'],
    (escape) => `GET /x${escape} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    400,
  ),
  ...each(
    'beyond ASCII at the edge of a request line',
    [
      'GET\xa0/x HTTP/1.1',
      'GET /x\xa0HTTP/1.1',
      'GET /x HTTP\xa0/1.1',
      'GET /x HTTP/1.1\x85',
      '\xef\xbb\xbfGET /x HTTP/1.1',
      'G\xc3\x89T /x HTTP/1.1',
    ],
    (line) => `${line}\r\nHost: a\r\n\r\n`,
    400,
  ),
  ...each(
    'beyond ASCII in Host',
    ['\xc3\xbc', '\xff', 'a\xa0b', 'a\x85', '\xe2\x82\xac.test'],
    (host) => `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    read('GET'),
  ),
]

const hosts: readonly RequestCase[] = [
  ...each(
    'Host',
    ['', ' ', 'a b', 'a/b', 'a\\b', 'a?b', 'a#b', 'a,b', 'a, b', '/', 'a\tb', 'a/', 'http://a'],
    (host) => `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    400,
  ),
  ...each('two Hosts', ['a', 'b', '', 'a:80'], (host) => get(`Host: ${host}`), 400),
  ...each('two Hosts, spelled', ['HOST', 'hOsT'], (name) => get(`${name}: a`), 400),
  ...each('no Host in', ['HTTP/1.1', 'HTTP/1.2'], (version) => `GET /x ${version}\r\nA: b\r\n\r\n`, 400),
  ...each('no Host in an old request', ['HTTP/1.0'], (version) => `GET /x ${version}\r\n\r\n`, read('GET'), {
    last: true,
  }),
  ...each(
    'Host, odd but one word',
    ['a:80', 'A', 'a.', '[::1]', '[::1]:80', '127.0.0.1', 'a_b', 'xn--a'],
    (host) => `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    read('GET'),
  ),
]

const badSizes = [
  '',
  ' ',
  ' 5',
  '5 ',
  '\t5',
  '5\t',
  '+5',
  '-5',
  '0x5',
  '0X5',
  '5h',
  'g',
  'G5',
  '5g',
  '5.',
  '5,',
  '5:',
  '5=5',
  '5/5',
  '5 5',
  '"5"',
  '(5)',
  '5_0',
  '5\x00',
  '\x005',
  '5\x0b',
  '5\x0c',
  '5\x7f',
  '5\x85',
  '5\xa0',
  '\xd9\xa5',
  '\xef\xbc\x95',
  '5\r',
  '\r5',
  '5\n',
  '\n5',
  '5 ;a',
  '5\t;a',
  '5;a\x00b',
  '5;a\nb',
  '5;\n',
  '5;a\rb',
  '5;\r',
  '5;\x7f',
  '5;\x01',
  '00000000000005',
  'ffffffffffffffff',
  '80000000000000',
  '100000000000000005',
]
const chunks: readonly RequestCase[] = [
  ...each('a chunk of size', badSizes, (size) => chunked(`${size}\r\nhello\r\n0\r\n\r\n`), 400),
  ...each(
    'a chunk of size, well',
    ['5', '05', '0000000000005'],
    (size) => chunked(`${size}\r\nhello\r\n0\r\n\r\n`),
    read('POST', hello),
  ),
  ...each(
    'hexadecimal',
    ['a', 'A', '0a', '0A'],
    (size) => chunked(`${size}\r\nhellohello\r\n0\r\n\r\n`),
    read('POST', hello + hello),
  ),
  ...each(
    'a chunk extension',
    [
      ';a',
      ';a=b',
      ';a="b"',
      '; a = b',
      ';',
      ';;',
      ';a="x;y"',
      ';a=\xff',
      ';\t',
      ';a=b;c=d',
      `;${'x'.repeat(4000)}`,
      ';0\t5',
      ';5',
    ],
    (extension) => chunked(`5${extension}\r\nhello\r\n0\r\n\r\n`),
    read('POST', hello),
  ),
  ...each(
    'chunk extensions that are too long',
    ['x'.repeat(4097), 'y'.repeat(20_000)],
    (extension) => chunked(`5;${extension}\r\nhello\r\n0\r\n\r\n`),
    400,
  ),
  ...each(
    'chunk extensions that are too many',
    ['x'],
    (extension) => chunked(`1;${extension.repeat(100)}\r\nx\r\n`.repeat(60) + '0\r\n\r\n'),
    400,
  ),
  ...each(
    'a chunk that ends with',
    ['', '\n', '\r', '\n\r', '\r\r\n', '\n\n', ' \r\n', 'x\r\n', '\x00\r\n'],
    (end) => chunked(`5\r\nhello${end}0\r\n\r\n`),
    400,
  ),
  ...each('a chunk that is longer than its size', ['1', '4'], (size) => chunked(`${size}\r\nhello\r\n0\r\n\r\n`), 400),
  ...each(
    'a size line that ends with',
    ['\n', '\r', '\r\r\n', ' \r\n'],
    (end) => chunked(`5${end}hello\r\n0\r\n\r\n`),
    400,
  ),
  ...each(
    'a last chunk',
    ['0\r\n\r\n', '00\r\n\r\n', '0000000000000\r\n\r\n', '0;a=b\r\n\r\n'],
    (last) => chunked(`5\r\nhello\r\n${last}`),
    read('POST', hello),
  ),
  ...each(
    'a last chunk that is none',
    [
      '0\n\n',
      '0\r\n\n',
      '0\n\r\n',
      '0\r\r\n\r\n',
      '-0\r\n\r\n',
      '+0\r\n\r\n',
      ' 0\r\n\r\n',
      '0 \r\n\r\n',
      '0x0\r\n\r\n',
      '\r\n\r\n',
      '0\r\n\r\r\n',
    ],
    (last) => chunked(`5\r\nhello\r\n${last}`),
    400,
  ),
  ...each('an empty body by', ['0\r\n\r\n', '0;x\r\n\r\n', '0\r\nA: b\r\n\r\n'], (body) => chunked(body), read('POST')),
  ...each(
    'a trailer',
    [
      'A: b',
      'A:',
      'Content-Length: 100',
      'Transfer-Encoding: chunked',
      'Host: evil',
      'Connection: close',
      'Authorization: x',
    ],
    (line) => chunked(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`),
    read('POST', hello),
    { dropped: ['a', 'authorization'] },
  ),
  ...each(
    'a trailer that is no line',
    [
      'A',
      ' A: b',
      'A : b',
      'A: b\n',
      ': b',
      'A: b\x00',
      'A\x00: b',
      'A: b\rC: d',
      '\x0bA: b',
      'GET / HTTP/1.1',
      'A: b\r\n c',
    ],
    (line) => chunked(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`),
    400,
  ),
  ...each(
    'trailers that are too long',
    ['x'.repeat(9000)],
    (value) => chunked(`5\r\nhello\r\n0\r\nA: ${value}\r\n\r\n`),
    400,
  ),
  ...each(
    'chunks of one byte',
    ['hello'],
    (body) =>
      chunked(
        body
          .split('')
          .map((byte) => `1\r\n${byte}\r\n`)
          .join('') + '0\r\n\r\n',
      ),
    read('POST', hello),
  ),
]

const inside = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const bodies: readonly RequestCase[] = [
  ...each(
    'a request in the body of',
    ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'],
    (method) => text(`${method} /x HTTP/1.1`, [`Content-Length: ${inside.length}`], inside),
    (method) => read(method, inside),
  ),
  ...each(
    'a request in the chunked body of',
    ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'],
    (method) =>
      text(
        `${method} /x HTTP/1.1`,
        ['Transfer-Encoding: chunked'],
        `${inside.length.toString(16)}\r\n${inside}\r\n0\r\n\r\n`,
      ),
    (method) => read(method, inside),
  ),
  ...each(
    'a body that looks like',
    [
      '0\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\n',
      '\r\n\r\n',
      '5\r\nhello\r\n0\r\n\r\n',
      '\x00\x01\x02\xff',
      'Content-Length: 5\r\n',
    ],
    (body) => text('POST /x HTTP/1.1', [`Content-Length: ${body.length}`], body),
    (body) => read('POST', body),
  ),
  ...each(
    'length 0 with',
    ['GET', 'POST', 'PUT', 'DELETE'],
    (method) => text(`${method} /x HTTP/1.1`, ['Content-Length: 0'], ''),
    (method) => read(method),
  ),
  ...each(
    'no length with',
    ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'],
    (method) => text(`${method} /x HTTP/1.1`, [], ''),
    (method) => read(method),
  ),
  ...each(
    'two requests, pipelined',
    ['GET', 'POST'],
    (method) => text(`${method} /x HTTP/1.1`, ['Content-Length: 5'], hello).repeat(2),
    (method) => [...read(method, hello), ...read(method, hello)],
  ),
  ...each(
    'a good request before a bad one',
    ['Content-Length: x', 'A : b', 'Host: b'],
    (line) => get() + get(line),
    (_line) => read('GET'),
    { last: true },
  ),
]

/** Where one side would take a request for one without a body: what follows is then a request of the attacker's. */
const lengthsIgnored: readonly RequestCase[] = [
  ...each(
    'CL.0',
    ['/x', '/x/', '/x/..;/y', '/x.css', '/favicon.ico', '/x;.js', '/robots.txt', '/x%23', '/x%3Fa'],
    (target) => text(`POST ${target} HTTP/1.1`, [`Content-Length: ${inside.length}`], inside),
    (target) => read('POST', inside, target),
  ),
  ...each(
    'CL.0 with',
    [
      'Connection: keep-alive',
      'Content-Type: application/x-www-form-urlencoded',
      'Upgrade: h2c',
      'Expect: 100-continue',
      'Expect: 100-Continue',
      'Range: bytes=0-0',
      'X-HTTP-Method-Override: GET',
      'If-None-Match: *',
      'Content-Encoding: gzip',
      'Sec-WebSocket-Version: 777',
    ],
    (line) => text('POST /x HTTP/1.1', [line, `Content-Length: ${inside.length}`], inside),
    read('POST', inside),
    { dropped: ['expect', 'upgrade'] },
  ),
  ...each(
    '0.CL',
    ['Expect: 100-continue', 'Expect: x 100-continue', 'Expect: 100-continue, x', 'Expect:', 'Expect: 200-ok'],
    (line) => text('GET /x HTTP/1.1', [line, `Content-Length: ${inside.length}`], inside),
    read('GET', inside),
    { dropped: ['expect'] },
  ),
  ...each(
    'TE.0',
    ['OPTIONS', 'GET', 'HEAD', 'DELETE', 'POST'],
    (method) =>
      text(
        `${method} /x HTTP/1.1`,
        ['Transfer-Encoding: chunked'],
        `${inside.length.toString(16)}\r\n${inside}\r\n0\r\n\r\n`,
      ),
    (method) => read(method, inside),
  ),
]

const nominated: readonly RequestCase[] = [
  ...each(
    'Connection that names a header of this hop',
    ['X-Hop', 'x-hop', 'X-HOP, close', ' X-Hop ', 'keep-alive, X-Hop', 'X-Other,X-Hop', ',X-Hop,', 'X-Hop\t'],
    (value) => get('X-Hop: 1', `Connection: ${value}`),
    read('GET'),
    { dropped: ['x-hop'] },
  ).map((one) => (one.name.includes('close') ? { ...one, last: true as const } : one)),
  ...[
    'Authorization: x',
    'Cookie: a=b',
    'X-Forwarded-For: 1.1.1.1',
    'Content-Type: text/plain',
    'Content-Encoding: gzip',
  ].map((line) => ({
    name: `Connection cannot name ${line.split(':')[0]} away`,
    bytes: get(line, `Connection: ${line.split(':')[0]}`),
    outcome: read('GET'),
    kept: [line.startsWith('X-Forwarded') ? 'x-forwarded-for' : line.toLowerCase()],
  })),
  ...each(
    'Connection cannot name the length away',
    ['Content-Length', 'content-length', 'Content-Length, keep-alive'],
    (value) => post('Content-Length: 5', `Connection: ${value}`),
    read('POST', hello),
  ),
  ...each(
    'Connection cannot name the coding away',
    ['Transfer-Encoding', 'transfer-encoding'],
    (value) => text('POST /x HTTP/1.1', ['Transfer-Encoding: chunked', `Connection: ${value}`], chunkedHello),
    read('POST', hello),
  ),
  ...each(
    'Connection cannot name Host away',
    ['Host', 'host', 'Host, Via'],
    (value) => get(`Connection: ${value}`),
    read('GET'),
    { kept: ['host'] },
  ),
  ...each(
    'headers of this hop do not pass',
    [
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'TE: gzip',
      'Upgrade: h2c',
      'HTTP2-Settings: x',
      'Expect: x',
    ],
    (line) => get(line),
    read('GET'),
    { dropped: ['keep-alive', 'proxy-connection', 'te', 'upgrade', 'http2-settings', 'expect'] },
  ),
  ...each(
    'Connection: close in',
    ['close', 'Close', 'CLOSE', 'keep-alive, close', 'close, X-A', ' close '],
    (value) => get(`Connection: ${value}`),
    read('GET'),
    { last: true },
  ),
  ...each(
    'a request of HTTP/1.0 that stays',
    ['keep-alive', 'Keep-Alive'],
    (value) => `GET /x HTTP/1.0\r\nConnection: ${value}\r\n\r\n`,
    read('GET'),
  ),
]

export const requestCases: readonly RequestCase[] = [
  ...contentLength,
  ...transferEncoding,
  ...both,
  ...disguised,
  ...underscored,
  ...headLines,
  ...versions,
  ...targets,
  ...nonAscii,
  ...hosts,
  ...lengthsIgnored,
  ...chunks,
  ...bodies,
  ...nominated,
]
