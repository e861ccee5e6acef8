/**
 * The session plugin: who was identified once stays so by a cookie.
 * Source: Kong's docs, "Session".
 */
import type { Entity } from '../../pdk/entities.ts'
import { identityOf } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Outcome, type Plugin } from '../../pdk/plugin.ts'
import { prepare, type Config, type Ready } from './ready.ts'
import {
  changesFor,
  cookieLine,
  expiredLine,
  isDue,
  isIdling,
  leftOf,
  openSession,
  renewed,
  timeLeft,
  type Holder,
  type Opened,
} from './sessions.ts'

/** The plugin with a clock of one's own, in whole seconds since 1970. */
export const createSession = (now = () => Math.floor(Date.now() / 1000)): Plugin<Config, Ready> =>
  definePlugin<Config, Ready>({
    version: '3.10.0',
    priority: 1900,
    prepare: (config) => prepare(config, now),
    access(kong, ready) {
      const opened = openSession(kong.request, kong.entities, ready, ready.session)
      if (opened) return proceed(kong, ready, opened)
      const remembered = ready.remember && openSession(kong.request, kong.entities, ready, ready.remember)
      return remembered && begin(kong, ready, remembered)
    },
    after_access: keep,
  })

export default createSession()

/** Where the session that a request came with is found in later phases. */
const place = 'authenticated_session'

const holderOf = ({ session }: Opened, { audience }: Ready): Holder => session.holders[audience] as Holder

function proceed(kong: AccessKong, ready: Ready, opened: Opened): Outcome {
  const asked = wantsOut(kong, ready)
  return asked instanceof Promise
    ? asked.then((out) => (out ? end(kong, ready, opened) : goOn(kong, ready, opened)))
    : asked
      ? end(kong, ready, opened)
      : goOn(kong, ready, opened)
}

/** Whether a request asks for the end of its session. */
function wantsOut({ request }: AccessKong, ready: Ready): boolean | Promise<boolean> {
  const method = request.get_method()
  if (!ready.logoutMethods.includes(method)) return false
  if (ready.logoutQueryArg !== null && request.get_query_arg(ready.logoutQueryArg) !== undefined) return true
  const { logoutPostArg } = ready
  if (logoutPostArg === null || method === 'GET') return false
  return request.get_body().then((body) => (body?.get(logoutPostArg) ?? false) !== false)
}

async function end(kong: AccessKong, ready: Ready, opened: Opened): Promise<Answer> {
  await destroy(kong, ready, opened)
  return kong.response.exit(200)
}

/** Ends a session for its audience; where others share it, they keep it. */
async function destroy(kong: AccessKong, ready: Ready, opened: Opened): Promise<void> {
  const remembered = ready.remember && openSession(kong.request, kong.entities, ready, ready.remember)
  for (const one of [opened, ...(remembered ? [remembered] : [])]) await destroyOne(kong, ready, one)
}

async function destroyOne(kong: AccessKong, ready: Ready, opened: Opened): Promise<void> {
  const { [ready.audience]: _, ...others } = opened.session.holders
  if (Object.keys(others).length > 0) {
    const rest = { ...renewed(ready, opened.cookie, holderOf(opened, ready), opened) }
    const kept = { ...rest, session: { ...rest.session, holders: others } }
    await store(kong, ready, kept, opened)
    return
  }
  kong.response.add_header('Set-Cookie', expiredLine(ready, opened.cookie))
  if (opened.row) await write(kong, [{ do: 'delete', kind: 'sessions', id: opened.row.id }])
}

/** Identifies the request by its session, which is renewed or told to be in use where it is time. */
function goOn(kong: AccessKong, ready: Ready, opened: Opened): Outcome {
  const consumer = kong.entities.get('consumers', holderOf(opened, ready).consumer)?.entity
  if (!consumer) return destroy(kong, ready, opened)
  const now = ready.now()
  if (isDue(opened, now)) return renew(kong, ready, opened, consumer)
  if (!isIdling(opened, now)) return identify(kong, ready, opened, consumer)
  const touched = { ...opened, session: { ...opened.session, used: now } }
  setCookie(kong, ready, touched)
  return identify(kong, ready, touched, consumer)
}

async function renew(kong: AccessKong, ready: Ready, before: Opened, consumer: Entity): Promise<undefined> {
  const after = renewed(ready, before.cookie, holderOf(before, ready), before)
  // Where it cannot be written the old session lasts as long as it does.
  const kept = (await store(kong, ready, after, before)) ? after : before
  return identify(kong, ready, kept, consumer)
}

/** A remembered client begins a new session; what remembers it is renewed, too. */
async function begin(kong: AccessKong, ready: Ready, remembered: Opened): Promise<undefined> {
  const holder = holderOf(remembered, ready)
  const consumer = kong.entities.get('consumers', holder.consumer)?.entity
  if (!consumer) return destroyOne(kong, ready, remembered) as Promise<undefined>
  await store(kong, ready, renewed(ready, remembered.cookie, holder, remembered), remembered)
  const opened = renewed(ready, ready.session, holder, undefined)
  await store(kong, ready, opened, undefined)
  return identify(kong, ready, opened, consumer)
}

function identify(kong: AccessKong, ready: Ready, opened: Opened, consumer: Entity): undefined {
  const { credential, groups } = holderOf(opened, ready)
  for (const [name, value] of toldOf(ready, opened, ready.requestHeaders)) kong.service.request.set_header(name, value)
  for (const [name, value] of toldOf(ready, opened, ready.responseHeaders)) kong.response.set_header(name, value)
  kong.ctx.shared[place] = opened
  if (groups) kong.ctx.shared['authenticated_groups'] = groups
  const more = { 'X-Authenticated-Groups': groups?.join(', ') }
  kong.client.authenticate(identityOf(consumer, { id: credential }, credential, more))
  return undefined
}

/** Begins a session for whoever was identified by something else: written before its cookie goes out, which is then good at once. */
function keep(kong: AccessKong, ready: Ready): void | Promise<void> {
  const [credential, consumer] = [kong.client.get_credential(), kong.client.get_consumer()]
  if (!credential || !consumer) return undefined
  const before = kong.ctx.shared[place] as Opened | undefined
  const holder = before && holderOf(before, ready)
  if (holder?.credential === credential.id && holder.consumer === consumer.id) return undefined
  return start(kong, ready, holderFor(kong, consumer, credential), before)
}

async function start(kong: AccessKong, ready: Ready, holder: Holder, before: Opened | undefined): Promise<void> {
  const opened = renewed(ready, ready.session, holder, before)
  if (!(await store(kong, ready, opened, before))) return
  if (ready.remember) await store(kong, ready, renewed(ready, ready.remember, holder, undefined), undefined)
  for (const [name, value] of toldOf(ready, opened, ready.responseHeaders)) kong.response.set_header(name, value)
}

function holderFor({ ctx }: AccessKong, consumer: Entity, credential: Entity): Holder {
  const groups = ctx.shared['authenticated_groups']
  return {
    subject: [consumer['username'], consumer['custom_id'], consumer.id].find(
      (name) => typeof name === 'string',
    ) as string,
    consumer: consumer.id,
    credential: credential.id,
    ...(Array.isArray(groups) && { groups: groups.map(String) }),
  }
}

/** Writes a session and sets its cookie; false where it could not be written. */
async function store(kong: AccessKong, ready: Ready, after: Opened, before: Opened | undefined): Promise<boolean> {
  const changes = changesFor(ready, after, before)
  return (changes.length === 0 || (await write(kong, changes))) && setCookie(kong, ready, after)
}

async function write(
  { entities, log }: AccessKong,
  changes: Parameters<AccessKong['entities']['write']>[0],
): Promise<boolean> {
  const outcome = await entities.write(changes)
  if (!outcome.ok) log.warn(`session: not saved: ${outcome.message}`)
  return outcome.ok
}

function setCookie({ response, log }: AccessKong, ready: Ready, opened: Opened): boolean {
  const line = cookieLine(ready, opened)
  if (line === undefined) log.err('session: too long for a cookie; set storage to kong')
  else response.add_header('Set-Cookie', line)
  return line !== undefined
}

/** What is told of a session under each name of the config. */
const properties: Readonly<Record<string, (ready: Ready, opened: Opened) => string | number>> = {
  id: (_, { session }) => session.id,
  audience: ({ audience }) => audience,
  subject: (ready, opened) => holderOf(opened, ready).subject,
  timeout: ({ now }, { session, cookie }) => timeLeft(session, cookie, now()),
  'idling-timeout': ({ now }, { session, cookie }) => leftOf(cookie.idlingTimeout, session.used, now()),
  'rolling-timeout': ({ now }, { session, cookie }) => leftOf(cookie.rollingTimeout, session.renewed, now()),
  'absolute-timeout': ({ now }, { session, cookie }) => leftOf(cookie.absoluteTimeout, session.created, now()),
}

/** A timeout that there is not is not told. */
function toldOf(ready: Ready, opened: Opened, names: readonly string[]): [string, string][] {
  return names.flatMap((name): [string, string][] => {
    const value = properties[name]?.(ready, opened)
    return value === undefined || value === Infinity ? [] : [[headerOf(name), String(value)]]
  })
}

/** `idling-timeout` is told in `Session-Idling-Timeout`. */
const headerOf = (name: string): string =>
  ['session', ...name.split('-')].map((part) => (part[0] ?? '').toUpperCase() + part.slice(1)).join('-')
