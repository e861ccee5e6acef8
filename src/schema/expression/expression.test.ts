import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expressionError } from './check.ts'
import { addressBytes, type Expression, parseExpression, type Value } from './expression.ts'

const http = ['http', 'https']

/** An expression written out with every parenthesis. */
function written(text: string): string {
  const parsed = parseExpression(text)
  assert('expression' in parsed, 'error' in parsed ? parsed.error : '')
  return shown(parsed.expression)
}

function shown(expression: Expression): string {
  if ('and' in expression) return `(${expression.and.map(shown).join(' && ')})`
  if ('or' in expression) return `(${expression.or.map(shown).join(' || ')})`
  if ('not' in expression) return `!${shown(expression.not)}`
  const { field, lower, any, operator, value } = expression.predicate
  return `${any ? 'any ' : ''}${lower ? 'lower ' : ''}${field} ${operator} ${valueShown(value)}`
}

function valueShown(value: Value): string {
  if (value.type === 'Regex') return `/${value.value.source}/`
  return value.type === 'IpCidr' ? `${value.value}/${value.bits}` : JSON.stringify(value.value)
}

const errorOf = (text: string): string | undefined => {
  const parsed = parseExpression(text)
  return 'error' in parsed ? parsed.error : undefined
}

test('|| binds closer than &&, and parentheses closer than either', () => {
  assert.equal(written('a == 1 && b != 2 || c >= 3'), '(a == 1 && (b != 2 || c >= 3))')
  assert.equal(written('a > 1 || b < 2 && c <= 3 || d == 4'), '((a > 1 || b < 2) && (c <= 3 || d == 4))')
  assert.equal(written('a == 1 && b == 2 && c == 3'), '(a == 1 && b == 2 && c == 3)')
  assert.equal(written('a == 1 || (b == 2 && c == 3)'), '(a == 1 || (b == 2 && c == 3))')
  assert.equal(written('!(a == 1 || b == 2) && d == 4'), '(!(a == 1 || b == 2) && d == 4)')
})

test('every literal is read as what it is', () => {
  assert.equal(written(String.raw`a == "x\"\\\n\t"`), 'a == "x\\"\\\\\\n\\t"')
  assert.equal(written('a == r#"C:\\x "quoted""#'), 'a == "C:\\\\x \\"quoted\\""')
  assert.equal(written('a == 0x1f && a == 017 && a == -20 && a == 0'), '(a == 31 && a == 15 && a == -20 && a == 0)')
  assert.equal(
    written('a == 192.168.0.1 && a == fd00::1 && a == ::1'),
    '(a == "192.168.0.1" && a == "fd00::1" && a == "::1")',
  )
  assert.equal(written('a in 10.0.0.0/8 && a not  in fd00::/64'), '(a in 10.0.0.0/8 && a not in fd00::/64)')
  assert.equal(written('a ~ "^/x\\\\d"'), 'a ~ /^/x\\d/')
})

test('functions are applied to a field, also together', () => {
  assert.equal(written('any(lower(http.headers.x)) ^= "y"'), 'any lower http.headers.x ^= "y"')
  assert.equal(written('lower(http.path)contains"x"'), 'lower http.path contains "x"')
})

test('an error tells the place and what could stand there', () => {
  const at = (row: number, column: number, line: string, message: string, mark = '^---') =>
    [
      ` --> ${row}:${column}`,
      '  |',
      `${row} | ${line}`,
      `  | ${' '.repeat(column - 1)}${mark}`,
      '  |',
      `  = ${message}`,
    ].join('\n')
  assert.equal(errorOf('== 123'), at(1, 1, '== 123', 'expected term'))
  assert.equal(errorOf('! a == 1'), at(1, 1, '! a == 1', 'expected term'))
  assert.equal(errorOf('a == 1 || ! b == 2'), at(1, 11, 'a == 1 || ! b == 2', 'expected term'))
  assert.equal(errorOf('(a == 1 || b == 2) && ! c == 3'), at(1, 23, '(a == 1 || b == 2) && ! c == 3', 'expected term'))
  const assigned = 'http.path = "/foo" && tcp.port == 80'
  assert.equal(errorOf(assigned), at(1, 11, assigned, 'expected binary_operator'))
  assert.equal(errorOf('a == 1 ||\nb ==\nc'), at(3, 1, 'c', 'expected rhs'))
  assert.equal(errorOf(''), at(1, 1, '', 'expected term'))
  assert.equal(errorOf('a == 1 b'), at(1, 8, 'a == 1 b', 'expected EOI, and_op, or or_op'))
  assert.equal(
    errorOf('upper(a) == "x"'),
    at(1, 1, 'upper(a) == "x"', 'unknown transformation function: upper', '^------^'),
  )
  assert.equal(errorOf('a ~ 1'), at(1, 5, 'a ~ 1', 'regex operator can only be used with String operands', '^'))
  assert.match(
    errorOf('a ~ "(["') ?? '',
    /^ --> 1:5\n {2}\|\n1 \| a ~ "\(\["\n {2}\| {5}\^--\^\n {2}\|\n {2}= regex parse error: /,
  )
  assert.match(errorOf('a == 300.1.1.1') ?? '', /= invalid IPv4 address syntax$/)
  assert.match(errorOf('a in 10.0.0.1/8') ?? '', /= host part of address was not zero$/)
  assert.match(errorOf('a == 99999999999999999999') ?? '', /= number too large to fit in target type$/)
})

test('what is nested very deeply is an error, not a crash, and what is long is neither', () => {
  assert.equal(expressionError(Array.from({ length: 4000 }, () => 'net.port>0').join('&&'), http), undefined)
  assert.match(errorOf(`${'('.repeat(30_000)}a == 1${')'.repeat(30_000)}`) ?? '', /-->/)
  assert.match(errorOf('x'.repeat(100_000)) ?? '', /longer than/)
  assert.equal(errorOf(`a == "${'x'.repeat(60_000)}"`), undefined)
  assert.equal(errorOf(`a == "${String.raw`\n`.repeat(30_000)}"`), undefined)
})

test('fields, operators and values must fit each other', () => {
  const errors: Readonly<Record<string, string | undefined>> = {
    'http.path == "/x"': undefined,
    'http.headers.x_y == "z" && http.queries.a == "b"': undefined,
    'net.port == 80': undefined,
    'http.path.segments.len >= 2 && http.path.segments.0_1 == "a/b"': undefined,
    'net.src.ip in 10.0.0.0/8 || net.dst.ip == ::1': undefined,
    'unknown == "x"': 'Unknown LHS field',
    'http.headers.a.b == "x"': 'Unknown LHS field',
    'http.path == 1': 'Type mismatch between the LHS and RHS values of predicate',
    'net.src.ip == 10.0.0.0/8': 'Type mismatch between the LHS and RHS values of predicate',
    'lower(net.dst.port) == 80': 'lower-case transformation function only supported with String type fields',
    'net.dst.port ~ "8"': 'Regex operators only supports string operands',
    'net.dst.port ^= 8': 'Prefix/Postfix operators only supports string operands',
    'http.path > "x"': 'Greater/GreaterOrEqual/Less/LessOrEqual operators only supports integer operands',
    'net.src.ip in 10.0.0.1': 'In/NotIn operators only supports IP in CIDR',
    'http.path in 10.0.0.0/8': 'In/NotIn operators only supports IP in CIDR',
    'net.dst.port contains 8': 'Contains operator only supports string operands',
    'http.path.segments.x == "a"': 'illformed http.path.segments.* field',
    'http.path.segments.2_1 == "a"': 'illformed http.path.segments.* field',
    'http.path.segments.01 == "a"': 'illformed http.path.segments.* field',
  }
  for (const [text, error] of Object.entries(errors)) assert.equal(expressionError(text, http), error, text)
  assert.equal(expressionError('http.path == "/"', ['tcp']), 'Unknown LHS field')
  assert.equal(expressionError('tls.sni == "a" && net.src.port > 1024', ['tls']), undefined)
})

test('addresses are told by their bytes, however they are written', () => {
  assert.deepEqual(addressBytes('10.0.0.255'), [10, 0, 0, 255])
  assert.deepEqual(addressBytes('::1'), [...Array<number>(15).fill(0), 1])
  assert.deepEqual(addressBytes('2001:db8::ff:1').slice(-4), [0, 255, 0, 1])
  assert.deepEqual(addressBytes('::ffff:10.0.0.1').slice(-6), [255, 255, 10, 0, 0, 1])
})
