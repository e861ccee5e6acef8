import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { claimRule } from './claim-rules.ts'
import { claimRuleError } from './claim-rules-schema.ts'
import type { JsonObject } from './token.ts'

const claims = {
  tenant: 'acme',
  level: 3,
  roles: ['reader', 'Admin'],
  email_verified: true,
  realm_access: { roles: ['a'] },
  'https://example.com/team': 'red',
  empty: [],
  mixed: ['a', { b: 1 }],
}

const rows: Readonly<Record<string, boolean>> = {
  'claims.tenant == "acme"': true,
  'claims.tenant != "acme"': false,
  'claims.tenant == "acme" && claims.level >= 3': true,
  'claims.level > 3': false,
  'claims.level == 3': true,
  'claims.level == "3"': false,
  'any(claims.roles) == "reader"': true,
  'claims.roles == "reader"': false,
  'any(lower(claims.roles)) == "admin"': true,
  'claims.roles ~ "^[A-Za-z]+$"': true,
  'claims.email_verified == "true"': true,
  'claims.realm_access.roles == "a"': true,
  'claims."https://example.com/team" ^= "re"': true,
  'claims."https://example.com/team" =^ "d"': true,
  'claims.tenant contains "cm"': true,
  'claims.none == "x"': false,
  'claims.none != "x"': false,
  '!(claims.none == "x")': true,
  'claims.empty != "x"': false,
  'claims.realm_access == "a"': false,
  'any(claims.mixed) == "a"': false,
  'claims.constructor == "x" || claims.level < 4': true,
  'claims.__proto__.toString != "x"': false,
  'header.typ == "at+jwt"': true,
}

for (const [rule, holds] of Object.entries(rows)) {
  test(`${rule} ${holds ? 'holds' : 'does not hold'}`, () => {
    assert.equal(claimRuleError(rule), undefined)
    assert.equal(claimRule(rule)({ claims, header: { typ: 'at+jwt' } }), holds)
  })
}

test('what is wrong with a rule is told where it is written', () => {
  const mark = [' --> 1:15', '  |', '1 | claims.level >', '  |               ^---', '  |', '  = expected '].join('\n')
  assert.ok(claimRuleError('claims.level >')?.startsWith(mark))
  const wrong: Readonly<Record<string, RegExp>> = {
    'tenant == "a"': /unknown field tenant: expected claims.NAME or header.NAME/,
    'claims == "a"': /unknown field claims/,
    'claims.ip in 10.0.0.0/8': /not with addresses/,
    'claims.level > "3"': /claims.level: > compares with a whole number/,
    'claims.level ^= 3': /\^= compares with a text/,
    'upper(claims.a) == "A"': /unknown transformation function/,
    'claims.a ~ "("': /regex parse error/,
  }
  for (const [rule, says] of Object.entries(wrong)) assert.match(claimRuleError(rule) ?? '', says, rule)
})

test('no claims make a rule throw', () => {
  const judge = claimRule('any(lower(claims.a.b)) ~ "x" || claims.a.b >= 1 && header."a b" != "y"')
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const token = { claims: { a } as JsonObject, header: { 'a b': b } as JsonObject }
      assert.equal(typeof judge(token), 'boolean')
      assert.equal(typeof judge({ ...token, claims: { a: { b } } }), 'boolean')
    }),
  )
})
