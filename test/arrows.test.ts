/** The house's rule of who may import whom, read off the imports themselves. See CONTRIBUTING.md, "Where things are". */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const source = join(import.meta.dirname, '../src')

/** Each part, and the parts that it may import beside itself. All may import `observe`; `main`, which wires them, imports all. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  entities: ['schema'],
  vaults: ['schema'],
  observe: [],
  pdk: [],
  'plugins/schema': ['schema', 'pdk'],
  'plugins/handler': ['pdk', 'schema', 'plugins/schema'],
  plugins: ['pdk', 'schema', 'plugins/schema', 'plugins/handler'],
  config: ['schema', 'entities', 'plugins', 'vaults', 'store'],
  store: ['schema', 'entities', 'pdk', 'config'],
  proxy: ['pdk', 'config', 'schema'],
  admin: ['schema', 'config', 'store', 'pdk', 'plugins', 'plugins/api'],
  'plugins/api': ['admin', 'schema', 'pdk', 'plugins/schema', 'plugins/handler'],
  // `gibbon jwt` signs and explains with the plugin's own code.
  cli: ['schema', 'config', 'store', 'plugins', 'plugins/schema', 'plugins/handler', 'pdk', 'main'],
}

/** The part that a file belongs to. */
function partOf(file: string): string {
  const [first = '', , second = ''] = file.split('/')
  if (!file.includes('/')) return 'main'
  if (first !== 'plugins') return first
  if (second === '') return 'plugins'
  if (second === 'api.ts') return 'plugins/api'
  return /^((?:.+-)?schema|credentials|hash)\.ts$/.test(second) ? 'plugins/schema' : 'plugins/handler'
}

const importPattern = /(?:from|import\()\s*'(\.[^']+)'/g

interface Import {
  readonly from: string
  readonly to: string
}

function imports(): Import[] {
  const files = globSync('**/*.ts', { cwd: source }).filter((file) => !/\.test(-kit)?\.ts$/.test(file))
  return files.flatMap((from) =>
    [...readFileSync(join(source, from), 'utf8').matchAll(importPattern)].map((match) => ({
      from,
      to: relative(source, join(source, dirname(from), match[1] ?? '')),
    })),
  )
}

test('every part imports only what it may know', () => {
  const wrong = imports().filter(({ from, to }) => {
    if (to.startsWith('..')) return false
    const [one, other] = [partOf(from), partOf(to)]
    return one !== other && one !== 'main' && other !== 'observe' && !allowed[one]?.includes(other)
  })
  assert.deepEqual(wrong, [])
})

test('plugins never import one another', () => {
  const folder = (file: string) => /^plugins\/([^/]+)\//.exec(file)?.[1]
  const wrong = imports().filter(({ from, to }) => folder(from) && folder(to) && folder(from) !== folder(to))
  assert.deepEqual(wrong, [])
})
