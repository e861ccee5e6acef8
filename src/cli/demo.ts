/** `gibbon demo`: Kong's how-to "Authenticate Consumers with the JWT plugin", played against a gateway of its own. */
import { createSecretKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { loadSettings, type Settings } from '../config/settings.ts'
import type { Gateway } from '../main.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import type { Echo } from './echo.ts'
import { styled } from './terminal.ts'

// The how-to's own, so that the token is the one that it shows.
const credential = { key: 'YJdmaDvVTJxtcWRCvkMikc8oELgAVNcz', secret: 'C50k0bcahDhLNhLKSUBSR1OMiFGzNZ7X' }
const shownToken =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJZSmRtYUR2VlRKeHRjV1JDdmtNaWtjOG9FTGdBVk5jeiJ9.xG-DrlD4vcYBqhuhK_jrwFIALvVvU-qTOiNyIfUhn_Y'

export const command: Command = {
  name: 'demo',
  summary: 'Play "Authenticate Consumers with the JWT plugin" on a temporary gateway',
  usage: `demo

  Starts a gateway with a store of its own and an echo server on free ports, and ends both. Exit status 1 if an answer is
  not the promised one.`,
  options: {},
  async run(context) {
    const prefix = mkdtempSync(join(tmpdir(), 'gibbon-demo-'))
    const { startEcho } = await import('./echo.ts')
    const { startGateway } = await import('../main.ts')
    let echo: Echo | undefined
    let gateway: Gateway | undefined
    try {
      echo = await startEcho()
      gateway = await startGateway(demoSettings(prefix))
      const failed = await play(stepsOf(gateway, echo), context)
      return failed === 0 ? exitStatus.done : exitStatus.failed
    } finally {
      await gateway?.stop()
      await echo?.close()
      rmSync(prefix, { recursive: true, force: true })
    }
  },
}

/** Nothing of the user's own settings: the demo must not touch a gateway that runs, nor depend on how it is set up. */
function demoSettings(prefix: string): Settings {
  const overrides = {
    prefix,
    proxy_listen: '127.0.0.1:0',
    admin_listen: '127.0.0.1:0',
    nginx_worker_processes: '1',
    proxy_access_log: 'logs/access.log',
    proxy_error_log: 'logs/error.log',
    admin_error_log: 'logs/error.log',
    drain_timeout: '1s',
  }
  const loaded = loadSettings({ env: {}, overrides })
  if (!loaded.ok) throw new Error(loaded.errors.join('; '))
  return loaded.settings
}

interface Step {
  readonly title: string
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly status: number
  /** What is promised of the answer beyond its status: name and value of each, as found in `seen`. */
  readonly promised?: Readonly<Record<string, unknown>>
  readonly seen?: (answer: Reply) => Readonly<Record<string, unknown>>
}

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

function stepsOf(gateway: Gateway, echo: Echo): readonly (() => Promise<Step>)[] {
  const admin = `http://127.0.0.1:${gateway.adminPorts[0]}`
  const proxy = `http://127.0.0.1:${gateway.proxyPorts[0]}`
  const create = (title: string, path: string, body: unknown) => async (): Promise<Step> => ({
    title,
    method: 'POST',
    url: `${admin}${path}`,
    body,
    status: 201,
  })
  return [
    create('Create a Service for the upstream', '/services', { name: 'example-service', url: `${echo.url}/anything` }),
    create('Create a Route to it', '/services/example-service/routes', { name: 'example-route', paths: ['/anything'] }),
    create('Create a Consumer', '/consumers', { username: 'jsmith', custom_id: 'example-id' }),
    create('Enable the jwt plugin for everything', '/plugins', { name: 'jwt' }),
    create('Give the Consumer a credential', '/consumers/jsmith/jwt', credential),
    async () => ({
      title: 'Ask without a token',
      method: 'GET',
      url: `${proxy}/anything`,
      status: 401,
      seen: ({ body }) => ({ body }),
      promised: { body: { message: 'Unauthorized' } },
    }),
    async () => askWithToken(`${proxy}/anything`, `${admin}/consumers/jsmith`),
  ]
}

async function askWithToken(url: string, consumerUrl: string): Promise<Step> {
  const { signToken } = await import('../plugins/jwt/sign.ts')
  const unsigned = { header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: credential.key } }
  const token = signToken(unsigned, 'HS256', createSecretKey(Buffer.from(credential.secret)))
  const consumer = (await (await fetch(consumerUrl)).json()) as { id: string }
  return {
    title: 'Sign a token and ask with it',
    method: 'GET',
    url,
    headers: { Authorization: `Bearer ${token}` },
    status: 200,
    promised: {
      token: shownToken,
      'X-Consumer-ID': consumer.id,
      'X-Consumer-Username': 'jsmith',
      'X-Consumer-Custom-ID': 'example-id',
      'X-Credential-Identifier': credential.key,
    },
    seen: ({ body }) => ({ token, ...upstreamHeaders(body, identityHeaders) }),
  }
}

const identityHeaders = ['X-Consumer-ID', 'X-Consumer-Username', 'X-Consumer-Custom-ID', 'X-Credential-Identifier']

/** Headers as the echo server tells that they reached it. */
function upstreamHeaders(body: unknown, names: readonly string[]): Record<string, unknown> {
  const { headers = {} } = body as { headers?: Record<string, unknown> }
  const received = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return Object.fromEntries(names.map((name) => [name, received.get(name.toLowerCase())]))
}

async function play(
  steps: readonly (() => Promise<Step>)[],
  { stdout, isTerminal, json }: CommandContext,
): Promise<number> {
  let failed = 0
  for (const [index, prepare] of steps.entries()) {
    const step = await prepare()
    const reply = await send(step)
    const seen = step.seen?.(reply) ?? {}
    const isKept = reply.status === step.status && isDeepStrictEqual(seen, step.promised ?? {})
    if (!isKept) failed++
    if (json)
      stdout.write(
        `${JSON.stringify({ step: step.title, method: step.method, url: step.url, status: reply.status, body: reply.body, ok: isKept })}\n`,
      )
    else stdout.write(shown(step, index + 1, reply, seen, isKept, isTerminal))
  }
  const promise = failed === 0 ? 'All answers are the promised ones.' : `${failed} answers are not the promised ones.`
  if (!json) stdout.write(`${styled(failed === 0 ? 'green' : 'red', promise, isTerminal)}\n`)
  return failed
}

async function send({ method, url, headers = {}, body }: Step): Promise<Reply> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const contentType = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const response = await fetch(url, { method, headers: { ...headers, ...contentType }, ...sent })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parsed(text) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function shown(
  step: Step,
  number: number,
  reply: Reply,
  seen: Readonly<Record<string, unknown>>,
  isKept: boolean,
  isTerminal: boolean,
): string {
  const dim = (text: string): string => styled('dim', text, isTerminal)
  const headers = Object.entries(step.headers ?? {}).map(([name, value]) => ` -H '${name}: ${value}'`)
  const data = step.body === undefined ? '' : ` --json '${JSON.stringify(step.body)}'`
  const method = step.method === 'GET' || step.body !== undefined ? '' : ` -X ${step.method}`
  const facts = Object.entries(seen).map(
    ([name, value]) => `   ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`,
  )
  const mark = isKept
    ? styled('green', 'as promised', isTerminal)
    : styled('red', `promised: ${step.status} ${JSON.stringify(step.promised ?? {})}`, isTerminal)
  return [
    `${styled('bold', `${number}. ${step.title}`, isTerminal)}\n`,
    dim(`   curl${method} ${step.url}${headers.join('')}${data}\n`),
    `   ${reply.status} (${mark})\n`,
    ...facts,
    ...(isKept ? [] : [`   ${JSON.stringify(reply.body)}\n`]),
    '\n',
  ].join('')
}
