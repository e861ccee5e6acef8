/** The house's rule that secrets are compared by one function, whose time tells nothing; read off the sources. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const source = join(import.meta.dirname, '../src')
const files = globSync('**/*.ts', { cwd: source }).filter((file) => !/\.test(-kit)?\.ts$/.test(file))
const lines = files.flatMap((file) =>
  readFileSync(join(source, file), 'utf8')
    .split('\n')
    .map((line) => ({ file, line: line.trim() })),
)

/** What may hold a secret, by the last of its names; their lengths are none. */
const secretName =
  /(?:secret|password|signature|digest|hmac|thumbprint|challenge|nonce|token|hash)\w*(?:'?\])?(?:\([^()]*\))?[),;?!]*$/i
const length = /length[),;?!]*$/i
/** A value that the code itself knows, which is no secret. */
const known = /^(?:undefined|null|true|false|-?\d|'|"|`)/

/** Whether a line compares what may be a secret with what the code does not know. */
const comparesSecret = (line: string): boolean =>
  [...line.matchAll(/(\S+) [!=]==? (\S+)/g)].some(([, one = '', other = '']) => {
    const sides = [one, other]
    return sides.some((side) => secretName.test(side) && !length.test(side)) && !sides.some((side) => known.test(side))
  })

/** Where such a name is no secret, or one that whoever compares it has sent himself. */
const allowed: readonly (readonly [file: string, text: string, why: string])[] = [
  ['config/declarative-check.ts', 'secret === mask', 'what stands for a secret in an export'],
  ['plugins/jwt/dpop.ts', 'nonce !== proofNonces.at(now)', 'a nonce that was found good by then'],
  ['plugins/jwt/dpop.ts', 'thumbprint(jwk, members) !== jkt', 'the thumbprint of a public key'],
  ['admin/status-api.ts', 'loadedHash(reader) === emptyHash', 'the hash of a configuration'],
  ['admin/routes/config.ts', 'configHash(source) === hash', 'the hash of a configuration'],
  ['store/audit.ts', 'secrets.get(path) !== JSON.stringify(secret)', 'what an administrator changes, with what it was'],
  ['plugins/jwt/tokens.ts', 'last.token === token', 'a lookup, measured by bench/timing.ts'],
]

test('secrets are compared in constant time in one place', () => {
  const users = [...new Set(lines.filter(({ line }) => /timingSafeEqual/.test(line)).map(({ file }) => file))]
  assert.deepEqual(users, ['pdk/secrets.ts'])
})

test('nothing that is called a secret is compared otherwise', () => {
  const found = lines.filter(
    ({ file, line }) =>
      !line.startsWith('*') &&
      !line.startsWith('//') &&
      comparesSecret(line) &&
      !allowed.some(([of, text]) => of === file && line.includes(text)),
  )
  assert.deepEqual(found, [])
  for (const [file, text] of allowed)
    assert.ok(
      lines.some((each) => each.file === file && each.line.includes(text)),
      `${file} no longer has ${text}`,
    )
})

test('the rule finds what it is to find', () => {
  const bad = [
    'if (secret === given) return true',
    'return credential.password !== sent',
    "return given === entity['secret_hash']",
    'return hashOf(a) === hashOf(b)',
    'const same = given == this.signature',
  ]
  for (const line of bad) assert.ok(comparesSecret(line), line)
  const good = [
    'if (secret === undefined)',
    "if (typeof token === 'string')",
    'token.length === 5',
    'if (hash === null)',
  ]
  for (const line of good) assert.ok(!comparesSecret(line), line)
})
