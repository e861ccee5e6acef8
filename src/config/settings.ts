/** The settings: from the defaults, a file as Kong's is, `KONG_*` and `GIBBON_*` variables, and arguments; later ones win. */
import { readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { checkInsert, type FieldError } from '../schema/check.ts'
import { isReference } from '../schema/value.ts'
import { resolveReference } from '../vaults/env.ts'
import { installedFilters } from './filters.ts'
import { didYouMean } from './nearest.ts'
import { allSettings, type Setting, type SettingName, type Settings } from './settings-declared.ts'
import { parseSettingsFile } from './settings-file.ts'
import { forms, plainForms, type Listener, type Read } from './settings-forms.ts'
import { inertNames, whyInert } from './settings-inert.ts'

export type { SettingName, Settings } from './settings-declared.ts'
export { addressOf, type KeepAlive, keepAliveOf, type Listener, type StreamListener } from './settings-forms.ts'

/** Where a setting's present value came from, and the text it was read from. */
export interface Origin {
  /** The name that it was given by, which may be one of Kong's other names for it. */
  readonly name: string
  /** `default`, `argument`, a variable's name, or a file's name and line. */
  readonly from: string
  /** Undefined for a setting that has no value. */
  readonly text: string | undefined
}

export interface SettingsSources {
  /** A settings file; none is read when left out. */
  readonly file?: string
  readonly env: NodeJS.ProcessEnv
  /** Texts by a setting's name that win over everything else, as a command's options do. */
  readonly overrides?: { readonly [Name in SettingName]?: string | undefined }
}

export type LoadedSettings =
  | {
      readonly ok: true
      readonly settings: Settings
      /** What was accepted and does nothing, one line each. */
      readonly notes: readonly string[]
      readonly origins: ReadonlyMap<SettingName, Origin>
    }
  | { readonly ok: false; readonly errors: readonly string[] }

type Given = Origin & { readonly text: string }

/** Reads the settings. `errors` names every wrong one, where it came from, its value and what is allowed. */
export function loadSettings({ file, env, overrides = {} }: SettingsSources): LoadedSettings {
  const errors: string[] = []
  const notes: string[] = []
  const given = [
    ...(file === undefined ? [] : fromFile(file, errors)).toSorted(otherNamesFirst),
    ...fromEnvironment(env, notes).toSorted(otherNamesFirst),
    ...Object.entries(overrides).flatMap(([name, text]) =>
      text === undefined ? [] : [{ name, text, from: 'argument' }],
    ),
  ]
  const origins = new Map<SettingName, Origin>()
  for (const [name, setting] of allSettings) origins.set(name, { name, from: 'default', text: defaultText(setting) })
  for (const one of given) adopt(one, origins, notes)
  const values = readAll(origins, env, errors, notes)
  if (errors.length > 0) return { ok: false, errors }
  const settings = finished(values as unknown as Settings, origins)
  const wrong = wrongTogether(settings)
  return wrong.length > 0 ? { ok: false, errors: wrong } : { ok: true, settings, notes, origins }
}

/** The defaults with some values of one's own, for tests and embedders. */
export function settingsOf(values: Partial<Settings> = {}): Settings {
  const loaded = loadSettings({ env: {} })
  if (!loaded.ok) throw new Error(`the default settings are wrong: ${loaded.errors.join('; ')}`)
  return { ...loaded.settings, ...values }
}

/** Every setting with its value, what is secret masked: for eyes other than the gateway's own. */
export function maskedSettings(settings: Settings): Readonly<Record<string, unknown>> {
  const { $references = {}, ...values } = settings
  const entries = Object.entries(values).map(([name, value]) => {
    if (Object.hasOwn($references, name)) return [name, $references[name]]
    const isSet = value !== undefined && !(Array.isArray(value) && value.length === 0)
    return [name, isSet && allSettings.get(name as SettingName)?.encrypted ? mask : (value ?? null)]
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}

/** What stands in a secret's place. */
export const mask = '******'

/**
 * The store's file. The local copy of a declarative file, or of a database, is another one: what they hold replaces all content,
 * which must never happen to what was written through the Admin API of this node alone.
 */
export function storeFile({ prefix, database }: Pick<Settings, 'prefix' | 'database'>): string {
  return join(prefix, storeFiles[database])
}

/** The socket by which the prefix's owner reaches a running gateway. */
export const adminSocket = (prefix: string): string => join(prefix, 'admin.sock')
const storeFiles = { sqlite: 'gibbon.db', off: 'declared.db', postgres: 'shared.db' } as const

/** A setting's default as it would be written in a file; undefined where there is none. */
export function defaultText({ default: value }: Setting): string | undefined {
  return value === undefined ? undefined : String(value)
}

function fromFile(file: string, errors: string[]): Given[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    errors.push(`cannot read the settings file ${file}: ${(error as Error).message}`)
    return []
  }
  const parsed = parseSettingsFile(text)
  errors.push(...parsed.errors.map((error) => `${file}: ${error}`))
  return parsed.entries.flatMap(({ name, text: value, line }) => {
    if (isKnown(name)) return [{ name, text: value, from: `${file}:${line}` }]
    errors.push(`${file}:${line}: no setting is called ${name}${didYouMean(name, knownNames())}`)
    return []
  })
}

// Kubernetes gives every pod such variables for each service near it, so that one called kong fills the environment.
const serviceLink = /_SERVICE_(HOST|PORT(_.*)?)$|_PORT(_\d+_(TCP|UDP).*)?$/

function fromEnvironment(env: NodeJS.ProcessEnv, notes: string[]): Given[] {
  return Object.entries(env).flatMap(([variable, text]) => {
    const [, owner, upper] = /^(KONG|GIBBON)_([A-Z0-9_]+)$/.exec(variable) ?? []
    if (upper === undefined || text === undefined) return []
    const name = upper.toLowerCase()
    if (isKnown(name) && variableOf(name) === variable) return [{ name, text, from: variable }]
    if (owner === 'KONG' && serviceLink.test(variable)) return []
    if (isKnown(name)) notes.push(`${variable} is ignored: the variable is called ${variableOf(name)}`)
    else notes.push(`${variable} is ignored: no setting is called ${name}${didYouMean(name, knownNames())}`)
    return []
  })
}

/** The variable that a setting is given by, such as `KONG_PREFIX`, or `GIBBON_DRAIN_TIMEOUT` for one that Kong has not. */
export function variableOf(name: string): string {
  const own = allSettings.get(name as SettingName)?.$own === true
  return `${own ? 'GIBBON' : 'KONG'}_${name.toUpperCase()}`
}

const byAlias: ReadonlyMap<string, SettingName> = new Map(
  [...allSettings].flatMap(([name, { $aliases = [] }]) => $aliases.map((alias) => [alias, name] as const)),
)

// A setting's own name says more than another name for it that stands beside it.
const otherNamesFirst = (a: Given, b: Given): number => Number(byAlias.has(b.name)) - Number(byAlias.has(a.name))

const knownNames = (): Iterable<string> => [...allSettings.keys(), ...byAlias.keys(), ...inertNames]

const isKnown = (name: string): boolean =>
  allSettings.has(name as SettingName) || byAlias.has(name) || whyInert(name, '') !== undefined

function adopt({ name, text, from }: Given, origins: Map<SettingName, Origin>, notes: string[]): void {
  const target = byAlias.get(name) ?? (name as SettingName)
  const setting = allSettings.get(target)
  // Nothing behind a variable's `=` means that it is not set: `KONG_X: ${X:-}` is common.
  if (text === '') return
  if (!setting) {
    const why = whyInert(name, text)
    if (why) notes.push(`${name} (${from}) does nothing here: ${why}`)
    return
  }
  origins.set(target, { name, from, text })
}

function readAll(
  origins: ReadonlyMap<SettingName, Origin>,
  env: NodeJS.ProcessEnv,
  errors: string[],
  notes: string[],
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, setting] of allSettings) {
    const origin = origins.get(name)!
    if (origin.text === undefined) continue
    const read = isReference(origin.text)
      ? readSecret(setting, origin.text, origins, env)
      : readOne(setting, origin.text)
    if ('error' in read) errors.push(`${shown(setting, origin)}: ${read.error}`)
    else values[name] = read.value
    if (setting.$note && origin.text !== defaultText(setting)) notes.push(`${shown(setting, origin)}: ${setting.$note}`)
  }
  return values
}

/** What is wrong with a secret is not told in words that may hold it. */
function readSecret(
  setting: Setting,
  reference: string,
  origins: ReadonlyMap<SettingName, Origin>,
  env: NodeJS.ProcessEnv,
): Read<unknown> {
  const prefix = origins.get('vault_env_prefix')?.text
  const vaults = new Map([['env', { name: 'env', config: prefix === undefined ? {} : { prefix } }]])
  const secret = resolveReference(reference, env, vaults)
  if (secret === undefined) return { error: 'the reference stands for nothing' }
  const read = readOne(setting, secret)
  return 'error' in read ? { error: 'what the reference stands for is not allowed here' } : read
}

function readOne(setting: Setting, text: string): Read<unknown> {
  if (setting.$later?.includes(text))
    return { error: `not available yet; possible now: ${possible(setting).join(', ')}` }
  const read = setting.$form ? forms[setting.$form](text) : plainForms[setting.type as keyof typeof plainForms](text)
  if ('error' in read) return read
  const field = setting.$later ? { ...setting, one_of: possible(setting) } : setting
  const checked = checkInsert({ name: 'settings', fields: [{ it: field }] }, { it: read.value })
  return checked.ok ? read : { error: flat(checked.errors) }
}

const possible = ({ one_of = [], $later = [] }: Setting): (string | number)[] =>
  one_of.filter((value) => !$later.includes(String(value)))

const shown = (setting: Setting, { name, text = '', from }: Origin): string =>
  `${name} = ${setting.encrypted ? mask : JSON.stringify(text)} (${from})`

function flat(error: FieldError | null): string {
  if (typeof error === 'string') return error
  return [
    ...new Set(
      Object.values(error ?? {})
        .filter(Boolean)
        .map(flat),
    ),
  ].join('; ')
}

function finished(values: Settings, origins: ReadonlyMap<SettingName, Origin>): Settings {
  const references = [...origins].flatMap(([name, { text }]) => (isReference(text) ? [[name, text]] : []))
  const prefix = resolve(values.prefix)
  const withAll = { ...Object.fromEntries([...allSettings.keys()].map((name) => [name, undefined])), ...values }
  return {
    ...withAll,
    prefix,
    declarative_config: values.declarative_config === undefined ? undefined : resolve(values.declarative_config),
    wasm_filters_path: values.wasm_filters_path === undefined ? undefined : resolve(values.wasm_filters_path),
    keyring_file: values.keyring_file === undefined ? undefined : resolve(values.keyring_file),
    proxy_access_log: logTarget(values.proxy_access_log, prefix),
    proxy_error_log: logTarget(values.proxy_error_log, prefix),
    proxy_stream_access_log: logTarget(values.proxy_stream_access_log, prefix),
    proxy_stream_error_log: logTarget(values.proxy_stream_error_log, prefix),
    admin_access_log: logTarget(values.admin_access_log, prefix),
    admin_audit_log: logTarget(values.admin_audit_log, prefix),
    admin_error_log: logTarget(values.admin_error_log, prefix),
    status_access_log: logTarget(values.status_access_log, prefix),
    status_error_log: logTarget(values.status_error_log, prefix),
    ...(references.length > 0 && { $references: Object.fromEntries(references) as Record<string, string> }),
  }
}

/** A log's place as an absolute path. Kong allows the name of an nginx log format behind it, which there is none of here. */
function logTarget(text: string, prefix: string): string {
  const path = text.split(/\s+/)[0]!
  return path === 'off' || isAbsolute(path) ? path : resolve(prefix, path)
}

function wrongTogether(settings: Settings): string[] {
  const { request_line_bytes, request_head_bytes } = settings
  const errors = [
    ...unpaired(settings, 'ssl_cert'),
    ...unpaired(settings, 'admin_ssl_cert'),
    ...unpaired(settings, 'status_ssl_cert'),
    ...wrongAccess(settings),
    ...wrongFilters(settings),
  ]
  if (settings.keyring !== undefined && settings.keyring_file !== undefined)
    errors.push('keyring and keyring_file are both given: one of them is enough')
  if (request_line_bytes > request_head_bytes)
    errors.push('request_line_bytes is more than request_head_bytes, which it is a part of')
  if (settings.real_ip_header === 'proxy_protocol' && !settings.proxy_listen.some((one) => one.proxy_protocol))
    errors.push('real_ip_header is proxy_protocol, but no listener of proxy_listen has that flag')
  for (const name of ['admin_listen', 'status_listen'] as const)
    errors.push(...settings[name].flatMap((listener) => cannotListen(name, listener)))
  return errors
}

function wrongFilters(settings: Settings): string[] {
  try {
    installedFilters(settings)
    return []
  } catch (error) {
    return [`wasm_filters_path: ${(error as Error).message}`]
  }
}

function unpaired(settings: Settings, name: 'ssl_cert' | 'admin_ssl_cert' | 'status_ssl_cert'): string[] {
  const [certificates, keys] = [settings[name].length, settings[`${name}_key`].length]
  if (certificates === keys) return []
  return [`${name} names ${certificates} certificates, ${name}_key ${keys} keys: each needs the other`]
}

/** What would leave the Admin API open where somebody believes that it is not. */
function wrongAccess({ admin_token, admin_tokens, admin_ssl_client_ca, admin_listen }: Settings): string[] {
  const errors: string[] = []
  if (admin_token !== undefined && admin_tokens === 'off')
    errors.push('admin_token is given, but admin_tokens is off: nobody would be asked for it')
  if (admin_ssl_client_ca.length > 0 && !admin_listen.some(({ ssl }) => ssl))
    errors.push('admin_ssl_client_ca is given, but admin_listen has no ssl: nobody would be asked for a certificate')
  return errors
}

// Without its PROXY header being read, every request behind such a balancer would fail.
const cannotListen = (name: string, { proxy_protocol, listener }: Listener): string[] =>
  proxy_protocol ? [`${name} = ${JSON.stringify(listener)}: proxy_protocol is for proxy_listen only`] : []
