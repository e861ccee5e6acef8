/** The documentation's transcripts, run: what stands behind `$` is typed into a shell, and what stands below must come out. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPostgres, withoutPostgres } from '../postgres/server.ts'
import { startIdentityProvider } from './identity-provider.ts'
import { parseDeclarative } from '../../src/config/declarative.ts'

const root = join(import.meta.dirname, '../..')

/** Pages in which every block marked `console` is run, one after another, in one shell; the page's first configuration is `kong.yaml`. */
const pages = [
  'docs/admin-access.md',
  'docs/secrets-at-rest.md',
  'docs/revoke-tokens.md',
  'docs/stream.md',
  'docs/identity-providers.md',
  'docs/explain-a-token.md',
  'docs/ask-for-rights.md',
  'docs/try-rules-first.md',
  'docs/tokens-without-consumers.md',
  'docs/one-time-tokens.md',
  'docs/error-bodies.md',
  'docs/tell-clients-where-to-get-tokens.md',
  'docs/tokens-for-upstreams.md',
  'docs/rotate-keys.md',
  'docs/bound-tokens.md',
  'docs/opaque-tokens.md',
  'docs/limit-requests.md',
]

/** What pages need beside a shell: programs, and whether a PostgreSQL that listens on the port 5432. */
const needs: Readonly<Record<string, readonly string[]>> = {
  'docs/stream.md': ['psql', 'openssl'],
  'docs/bound-tokens.md': ['openssl'],
}

/** Pages that ask this one for a token have an identity provider in its place. */
const idp = 'https://idp.example.com'

/** Why a page cannot be tried here. */
function missingFor(page: string): string | undefined {
  const programs = needs[page] ?? []
  const missing = programs.find((program) => spawnSync(program, ['--version']).error !== undefined)
  if (missing !== undefined) return `${missing} is not here`
  return programs.includes('psql') ? withoutPostgres : undefined
}

interface Step {
  readonly command: string
  /** What must be printed; `…` stands for anything to the end of the line. Empty where it does not matter. */
  readonly output: string
}

function stepsOf(text: string): Step[] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block = '']) => block)
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...output] = step.trimEnd().split('\n')
        return { command, output: output.join('\n') }
      }),
  )
}

function asPattern(output: string): RegExp {
  const escaped = output.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^${escaped.replaceAll('…', '[^\\n]*')}$`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A shell's script for the steps: what is started in the background is waited for, and stopped at the end. */
function scriptOf(steps: readonly Step[]): string {
  const lines = steps.map(({ command }, index) =>
    [
      `printf '\\n=== step ${index}\\n'`,
      command,
      ...(command.startsWith('gibbon start') ? ['until gibbon health >/dev/null 2>&1; do sleep 0.1; done'] : []),
    ].join('\n'),
  )
  return [
    `gibbon() { ${JSON.stringify(process.execPath)} ${JSON.stringify(join(root, 'src/cli/gibbon.ts'))} "$@"; }`,
    "trap 'gibbon stop >/dev/null 2>&1' EXIT",
    ...lines,
  ].join('\n')
}

const configurationsIn = (text: string): string[] =>
  [...text.matchAll(/^```yaml\n(_format_version:.*?)^```$/gms)].map(([, yaml = '']) => yaml)

for (const page of pages) {
  test(`${page}: what it says to type gives what it says`, { timeout: 280_000 }, async (t) => {
    const missing = missingFor(page)
    if (missing !== undefined) return t.skip(missing)
    const folder = mkdtempSync(join(tmpdir(), 'gibbon-docs-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const postgres = needs[page]?.includes('psql') ? await startPostgres() : undefined
    t.after(() => postgres?.stop())
    const [adminPort, proxyPort] = [await freePort(), await freePort()]
    const written = readFileSync(join(root, page), 'utf8')
    const provider = written.includes(`${idp}/token`) ? await startIdentityProvider() : undefined
    t.after(() => provider?.stop())
    const text = written.replaceAll(':8001', `:${adminPort}`).replaceAll(idp, provider?.issuer ?? idp)
    const ports = { 9000: await freePort(), 9443: await freePort(), 8007: await freePort(), 5432: postgres?.port ?? 0 }
    const steps = stepsOf(
      text
        .replaceAll(':8000', `:${proxyPort}`)
        .replaceAll(/\b(?:8007|9000|9443|5432)\b/g, (port) => String(ports[port as unknown as keyof typeof ports])),
    )
    assert.ok(steps.length > 0)
    const [configuration] = configurationsIn(text.replaceAll(':8000', `:${proxyPort}`))
    if (configuration !== undefined) writeFileSync(join(folder, 'kong.yaml'), configuration)
    writeFileSync(join(folder, 'script'), scriptOf(steps))
    const env = {
      PATH: process.env['PATH'],
      HOME: folder,
      KONG_PREFIX: join(folder, 'prefix'),
      KONG_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      KONG_PROXY_LISTEN: `127.0.0.1:${proxyPort}`,
      KONG_PROXY_ACCESS_LOG: 'off',
      KONG_PROXY_STREAM_ACCESS_LOG: 'off',
      PGUSER: 'gibbon',
      PGDATABASE: 'postgres',
      KONG_NGINX_WORKER_PROCESSES: '1',
    }
    const printed = await new Promise<string>((resolve, reject) => {
      execFile('bash', ['script'], { cwd: folder, env }, (error, stdout, stderr) =>
        error && stdout === '' ? reject(new Error(stderr, { cause: error })) : resolve(stdout),
      )
    })
    const outputs = printed.split(/\n=== step \d+\n/).slice(1)
    for (const [index, { command, output }] of steps.entries()) {
      const actual = (outputs[index] ?? '').trimEnd()
      if (output !== '') assert.match(actual, asPattern(output), command)
    }
  })
}

for (const page of globSync(['README.md', 'docs/*.md', 'src/plugins/*/README.md'], { cwd: root })) {
  const text = readFileSync(join(root, page), 'utf8')
  const configurations = configurationsIn(text)
  if (configurations.length === 0) continue
  test(`${page}: its configurations are valid`, () => {
    for (const yaml of configurations) {
      const parsed = parseDeclarative(yaml, { format: 'yaml' })
      assert.deepEqual(parsed.ok ? [] : parsed.places(), [])
    }
  })
}
