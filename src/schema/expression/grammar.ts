/** The grammar of route expressions. Source: Kong's docs, "Expressions language reference". */
import { all, type Grammar, many, maybe, one, rule } from './peg.ts'

export const grammar: Grammar = {
  EOI: { kind: 'spaced', part: { at: 'end' } },
  ident: { kind: 'word', part: /[A-Za-z][A-Za-z0-9_.]*/y },
  rhs: {
    kind: 'spaced',
    part: one(
      rule('str_literal'),
      rule('rawstr_literal'),
      rule('ipv4_cidr_literal'),
      rule('ipv6_cidr_literal'),
      rule('ipv4_literal'),
      rule('ipv6_literal'),
      rule('int_literal'),
    ),
  },
  transform_func: { kind: 'spaced', part: all(rule('ident'), '(', rule('lhs'), ')') },
  lhs: { kind: 'spaced', part: one(rule('transform_func'), rule('ident')) },
  int_literal: {
    kind: 'tight',
    part: all(maybe('-'), one(rule('oct_digits'), all('0x', rule('hex_digits')), rule('dec_digits'))),
  },
  hex_digits: { kind: 'spaced', part: /[0-9A-Fa-f]+/y },
  oct_digits: { kind: 'spaced', part: /0[0-7]+/y },
  dec_digits: { kind: 'spaced', part: /[0-9]+/y },
  str_literal: { kind: 'tight', part: all('"', many(one(rule('str_esc'), rule('str_char'))), '"') },
  str_char: { kind: 'spaced', part: /[^"\\]+/uy },
  str_esc: { kind: 'spaced', part: /\\["\\nrt]/y },
  rawstr_literal: { kind: 'tight', part: all('r#"', many(rule('rawstr_char')), '"#') },
  rawstr_char: { kind: 'spaced', part: /(?:(?!"#)[^])+/uy },
  ipv4_literal: { kind: 'word', part: /\d{1,3}(?:\.\d{1,3}){3}/y },
  ipv6_literal: { kind: 'word', part: /(?::|[0-9A-Fa-f]{1,4}):[0-9A-Fa-f:]*/y },
  ipv4_cidr_literal: { kind: 'word', part: /\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}/y },
  ipv6_cidr_literal: { kind: 'word', part: /(?::|[0-9A-Fa-f]{1,4}):[0-9A-Fa-f:]*\/\d{1,3}/y },
  binary_operator: {
    kind: 'spaced',
    part: one('==', '!=', '~', '^=', '=^', '>=', '>', '<=', '<', 'in', all('not', 'in'), 'contains'),
  },
  and_op: { kind: 'spaced', part: '&&' },
  or_op: { kind: 'spaced', part: '||' },
  not_op: { kind: 'spaced', part: '!' },
  predicate: { kind: 'spaced', part: all(rule('lhs'), rule('binary_operator'), rule('rhs')) },
  parenthesised_expression: { kind: 'spaced', part: all(maybe(rule('not_op')), '(', rule('expression'), ')') },
  term: { kind: 'spaced', part: one(rule('predicate'), rule('parenthesised_expression')) },
  expression: {
    kind: 'spaced',
    part: all(rule('term'), many(all(one(rule('and_op'), rule('or_op')), rule('term')))),
  },
  matcher: { kind: 'spaced', part: all({ at: 'start' }, rule('expression'), rule('EOI')) },
}
