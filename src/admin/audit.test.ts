import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { anyPort, sendTo, type TestAnswer } from '../../test/admin/fixture.ts'
import { settingsOf, type Settings } from '../config/settings.ts'
import { type Gateway, startGateway } from '../main.ts'
import { openAuditLog } from '../observe/audit.ts'

type Entry = Record<string, unknown> & { readonly changes: readonly Record<string, unknown>[] }

const adminToken = 'a-token-of-32-characters-or-more'

interface Audited {
  readonly gateway: Gateway
  readonly log: string
  readonly send: (method: string, path: string, body?: unknown) => Promise<TestAnswer>
  /** Every entry, after the gateway has stopped. */
  readonly entries: () => Promise<Entry[]>
}

async function auditedGateway(t: TestContext, settings: Partial<Settings> = {}): Promise<Audited> {
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-audit-'))
  const log = join(prefix, 'audit.log')
  const gateway = await startGateway(
    settingsOf({
      prefix,
      proxy_listen: [anyPort],
      admin_listen: [anyPort],
      nginx_worker_processes: 1,
      proxy_access_log: 'off',
      proxy_error_log: 'off',
      admin_audit_log: log,
      admin_tokens: 'required',
      admin_token: adminToken,
      ...settings,
    }),
  )
  t.after(async () => {
    await gateway.stop()
    rmSync(prefix, { recursive: true, force: true })
  })
  return {
    gateway,
    log,
    send: (method, path, body) =>
      sendTo(gateway.adminPorts[0]!, method, path, body, { 'Kong-Admin-Token': adminToken }),
    async entries() {
      await gateway.stop()
      return linesOf(log)
    },
  }
}

const linesOf = (file: string): Entry[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Entry)

test('each write is told with who, from where, by which request, and what was before and after', async (t) => {
  const { send, entries } = await auditedGateway(t)
  const made = await send('POST', '/services', { name: 'orders', host: 'a.test' })
  await send('PATCH', '/services/orders', { host: 'b.test' })
  await send('GET', '/services')
  await send('POST', '/schemas/services/validate', { host: 'c.test' })
  await send('DELETE', '/services/orders')
  const [insert, update, remove, ...more] = await entries()
  assert.deepEqual(more, [])
  const { id } = made.json as { id: string }
  const { changes, time, ...facts } = insert!
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000)
  assert.deepEqual(facts, {
    request_id: made.headers['x-kong-admin-request-id'],
    client: '127.0.0.1',
    method: 'POST',
    endpoint: '/services',
    by: 'token',
    name: 'admin_token',
    role: 'admin',
    status: 201,
  })
  assert.deepEqual(
    [insert, update, remove].map((entry) =>
      entry!.changes.map(({ operation, kind, id: which }) => [operation, kind, which]),
    ),
    [[['insert', 'services', id]], [['update', 'services', id]], [['delete', 'services', id]]],
  )
  assert.deepEqual(changes[0]?.['after'], made.json)
  const [{ before, after }] = update!.changes as unknown as [{ before: { host: string }; after: { host: string } }]
  assert.deepEqual([before.host, after.host], ['a.test', 'b.test'])
})

test('secrets are masked, and whether one changed is told', async (t) => {
  const { send, log, entries } = await auditedGateway(t)
  await send('PUT', '/consumers/alice', {})
  const { id } = (await send('POST', '/consumers/alice/jwt', { secret: 'first-secret-text' })).json as { id: string }
  await send('PATCH', `/jwts/${id}`, { secret: 'second-secret-text' })
  await send('PATCH', `/jwts/${id}`, { tags: ['x'] })
  await send('DELETE', '/consumers/alice')
  const told = (await entries()).slice(1)
  assert.deepEqual(
    told.slice(0, 3).map(({ changes: [change] }) => {
      const { before, after } = change as Record<'before' | 'after', { secret: string } | undefined>
      return [before?.secret, after?.secret]
    }),
    [
      [undefined, '******'],
      ['******', '****** (changed)'],
      ['******', '******'],
    ],
  )
  // What goes along with the consumer is told, too.
  assert.deepEqual(told[3]!.changes.map(({ operation, kind }) => `${String(operation)} ${String(kind)}`).sort(), [
    'delete consumers',
    'delete jwt_secrets',
  ])
  assert.doesNotMatch(readFileSync(log, 'utf8'), /secret-text/)
})

test('a write that was refused is told with its status, and changed nothing', async (t) => {
  const { send, entries } = await auditedGateway(t)
  await send('POST', '/services', { host: 1 })
  const [entry] = await entries()
  assert.deepEqual([entry?.['status'], entry?.changes], [400, []])
})

test('a declarative configuration is told as the changes that it made', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'kong.yaml')
  const write = (name: string) => writeFileSync(file, `_format_version: "3.0"\nconsumers: [{ username: ${name} }]\n`)
  write('alice')
  const { gateway, log, entries } = await auditedGateway(t, { database: 'off', declarative_config: file })
  write('bob')
  renameSync(log, `${log}.1`)
  await gateway.reload()
  const [entry] = await entries()
  assert.equal(entry?.['by'], 'reload')
  assert.deepEqual(entry?.changes.map(({ operation, kind }) => `${String(operation)} ${String(kind)}`).sort(), [
    'delete consumers',
    'insert consumers',
  ])
})

test('a write that is too long for the log is told without its values, never left out', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'audit.log')
  const log = openAuditLog(path, { maxQueuedBytes: 1_000_000, onTrouble: assert.fail })
  const after = { text: 'x'.repeat(2_000_000) }
  log.write({ name: 'ci', changes: [{ operation: 'insert', kind: 'plugins', id: 'p1', after }] })
  await log.file.close()
  const [{ time: _, ...entry }] = linesOf(path) as [Entry]
  assert.deepEqual(entry, {
    name: 'ci',
    values_left_out: true,
    changes: [{ operation: 'insert', kind: 'plugins', id: 'p1' }],
  })
})
