import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  keepAliveOf,
  type LoadedSettings,
  loadSettings,
  maskedSettings,
  settingsOf,
  type Settings,
} from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-settings-'))
let files = 0

function fileOf(text: string): string {
  const file = join(folder, `${++files}.conf`)
  writeFileSync(file, text)
  return file
}

function good(loaded: LoadedSettings): Extract<LoadedSettings, { ok: true }> {
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.errors.join('\n'))
  return loaded
}

function errorsOf(loaded: LoadedSettings): readonly string[] {
  assert.ok(!loaded.ok)
  return loaded.errors
}

const fromFile = (text: string): LoadedSettings => loadSettings({ file: fileOf(text), env: {} })
const fromEnvironment = (env: NodeJS.ProcessEnv): LoadedSettings => loadSettings({ env })

test('without anything given, Kong’s defaults hold, but for the store and the listeners of the Admin API', () => {
  const { settings, notes } = good(fromEnvironment({}))
  assert.equal(settings.database, 'sqlite')
  assert.deepEqual(
    settings.proxy_listen.map(({ listener, http2, backlog }) => ({ listener, http2, backlog })),
    [
      { listener: '0.0.0.0:8000 reuseport backlog=16384', http2: false, backlog: 16384 },
      { listener: '0.0.0.0:8443 ssl reuseport backlog=16384', http2: true, backlog: 16384 },
    ],
  )
  assert.deepEqual(
    settings.admin_listen.map(({ ip, port, ssl }) => ({ ip, port, ssl })),
    [{ ip: '127.0.0.1', port: 8001, ssl: false }],
  )
  assert.equal(settings.upstream_keepalive_idle_timeout, 60_000)
  assert.deepEqual(notes, [])
})

test('a variable wins over the file, an argument over both, and each says where it came from', () => {
  const file = fileOf('prefix = /from/file\nlog_level = warn\nreal_ip_header = X-File\n')
  const { settings, origins } = good(
    loadSettings({
      file,
      env: { KONG_PREFIX: '/from/env', KONG_LOG_LEVEL: 'info' },
      overrides: { prefix: '/argument' },
    }),
  )
  assert.equal(settings.prefix, '/argument')
  assert.equal(settings.log_level, 'info')
  assert.equal(settings.real_ip_header, 'X-File')
  assert.equal(origins.get('prefix')?.from, 'argument')
  assert.equal(origins.get('log_level')?.from, 'KONG_LOG_LEVEL')
  assert.equal(origins.get('real_ip_header')?.from, `${file}:3`)
  assert.equal(origins.get('database')?.from, 'default')
})

test('a file may hold comments, escaped hashes, spaces and continued lines', () => {
  const text = '# whole line\n\n  headers=off # rest\nreal_ip_header = X-\\#1\ntrusted_ips = 10.0.0.0/8, \\\n  ::1\r\n'
  const { settings } = good(fromFile(text))
  assert.deepEqual(settings.headers, [])
  assert.equal(settings.real_ip_header, 'X-#1')
  assert.deepEqual(settings.trusted_ips, ['10.0.0.0/8', '::1'])
})

test('an unknown name in the file stops the start and names the nearest known one', () => {
  const [error] = errorsOf(fromFile('\nproxy_lisen = 0.0.0.0:80\n'))
  assert.match(error!, /\.conf:2: no setting is called proxy_lisen \(did you mean proxy_listen\?\)$/)
})

test('a line that is no setting is named by its number', () => {
  assert.match(errorsOf(fromFile('prefix = /x\nwhat is this\n'))[0]!, /\.conf: line 2: expected key = value$/)
})

test('a file that is not there is an error', () => {
  assert.match(
    errorsOf(loadSettings({ file: join(folder, 'none'), env: {} }))[0]!,
    /^cannot read the settings file .*ENOENT/,
  )
})

const wrong: { readonly [name: string]: [env: NodeJS.ProcessEnv, error: string] } = {
  'a word that is not one of those possible': [
    { KONG_DATABASE: 'mysql' },
    'database = "mysql" (KONG_DATABASE): expected one of: off, sqlite, postgres',
  ],
  'a value of Kong’s that is to come': [
    { KONG_ROLE: 'data_plane' },
    'role = "data_plane" (KONG_ROLE): not available yet; possible now: traditional',
  ],
  'a number out of range': [
    { KONG_LUA_MAX_REQ_HEADERS: '2000' },
    'lua_max_req_headers = "2000" (KONG_LUA_MAX_REQ_HEADERS): value should be between 1 and 1000',
  ],
  'a switch that is neither on nor off': [
    { KONG_REAL_IP_RECURSIVE: 'yes' },
    'real_ip_recursive = "yes" (KONG_REAL_IP_RECURSIVE): expected on or off',
  ],
  'a size without meaning, by the name it was given': [
    { KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE: '4y' },
    'nginx_http_client_max_body_size = "4y" (KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE): expected a size such as 8k, 10m, 1g or a number of bytes',
  ],
  'a time without meaning': [
    { GIBBON_DRAIN_TIMEOUT: '5 weeks' },
    'drain_timeout = "5 weeks" (GIBBON_DRAIN_TIMEOUT): expected a time such as 500ms, 30s, 1m or a number of seconds',
  ],
  'a range of addresses that is none': [
    { KONG_TRUSTED_IPS: '10.0.0.0/8,1.2.3.4/33' },
    'trusted_ips = "10.0.0.0/8,1.2.3.4/33" (KONG_TRUSTED_IPS): expected IP addresses, CIDR ranges or unix:',
  ],
  'a header that is not known': [
    { KONG_HEADERS: 'X-Mine' },
    'headers = "X-Mine" (KONG_HEADERS): no header is called x-mine; known: off, server_tokens, latency_tokens, via, server, x-kong-proxy-latency, x-kong-response-latency, x-kong-admin-latency, x-kong-upstream-latency, x-kong-upstream-status, x-kong-request-id',
  ],
  'a port map that is none': [
    { KONG_PORT_MAPS: '80:8000, 443' },
    'port_maps = "80:8000, 443" (KONG_PORT_MAPS): expected outside:listening pairs such as 80:8000, not 443',
  ],
  'a certificate without its key': [
    { KONG_SSL_CERT: '/x.crt' },
    'ssl_cert names 1 certificates, ssl_cert_key 0 keys: each needs the other',
  ],
  'a PROXY protocol that nobody would read': [
    { KONG_ADMIN_LISTEN: '127.0.0.1:8001 proxy_protocol' },
    'admin_listen = "127.0.0.1:8001 proxy_protocol": proxy_protocol is for proxy_listen only',
  ],
}

for (const [name, [env, error]] of Object.entries(wrong)) {
  test(`the start stops at ${name}, and says what is allowed`, () => {
    assert.deepEqual(errorsOf(fromEnvironment(env)), [error])
  })
}

test('the start stops at a listener with a mistake and names the mistake', () => {
  assert.match(errorsOf(fromEnvironment({ KONG_PROXY_LISTEN: '8000' }))[0]!, /; 8000 is no address with a port$/)
  assert.match(errorsOf(fromEnvironment({ KONG_PROXY_LISTEN: '0.0.0.0:80 sll' }))[0]!, /; sll is no known flag$/)
  assert.match(
    errorsOf(fromEnvironment({ KONG_PROXY_LISTEN: '0.0.0.0:70000' }))[0]!,
    /; 0\.0\.0\.0:70000 is no address/,
  )
})

test('so_keepalive is on, off, or times and a number of questions, as far as they are given', () => {
  const read = (value: string) => fromEnvironment({ KONG_PROXY_LISTEN: `127.0.0.1:8000 so_keepalive=${value}` })
  const meaning = (value: string) => {
    const loaded = read(value)
    assert.ok(loaded.ok, value)
    return keepAliveOf(loaded.settings.proxy_listen[0]!)
  }
  assert.equal(meaning('off'), undefined)
  assert.deepEqual(meaning('on'), { idleMs: 0, intervalMs: undefined, probes: undefined })
  assert.deepEqual(meaning('30m::10'), { idleMs: 1_800_000, intervalMs: undefined, probes: 10 })
  assert.deepEqual(meaning('75:5s:'), { idleMs: 75_000, intervalMs: 5000, probes: undefined })
  assert.deepEqual(meaning(':7s:'), { idleMs: 0, intervalMs: 7000, probes: undefined })
  for (const wrong of ['::', '0::', 'soon::', '1ms::', '::100', 'yes'])
    assert.match(errorsOf(read(wrong))[0]!, /is no known flag$/, wrong)
})

test('stream_listen has flags of its own, and what is not there is refused by name', () => {
  const read = (text: string) => fromEnvironment({ KONG_STREAM_LISTEN: text })
  const loaded = read('127.0.0.1:7000 reuseport backlog=16384, [::1]:989 ssl proxy_protocol so_keepalive=on')
  assert.ok(loaded.ok)
  const [plain, secure] = loaded.settings.stream_listen
  assert.deepEqual(plain, {
    ip: '127.0.0.1',
    port: 7000,
    udp: false,
    ssl: false,
    proxy_protocol: false,
    bind: false,
    reuseport: true,
    backlog: 16_384,
    ipv6only: undefined,
    so_keepalive: undefined,
    listener: '127.0.0.1:7000 reuseport backlog=16384',
  })
  assert.deepEqual([secure?.ip, secure?.ssl, secure?.proxy_protocol], ['[::1]', true, true])
  assert.match(errorsOf(read('127.0.0.1:7000 udp'))[0]!, /proxying UDP is not available yet \(127\.0\.0\.1:7000\)$/)
  for (const flag of ['http2', 'deferred', 'sll'])
    assert.match(errorsOf(read(`127.0.0.1:7000 ${flag}`))[0]!, new RegExp(`; ${flag} is no known flag$`))
})

test('every mistake is told, not only the first', () => {
  assert.equal(
    errorsOf(fromEnvironment({ KONG_DATABASE: 'x', KONG_LOG_LEVEL: 'loud', KONG_ROLE: 'data_plane' })).length,
    3,
  )
})

test('an unknown variable warns, and one that Kubernetes makes for a service called kong does not', () => {
  const { notes } = good(
    fromEnvironment({
      KONG_LOG_LEVLE: 'x',
      KONG_DRAIN_TIMEOUT: '1',
      KONG_PROXY_SERVICE_HOST: '10.0.0.1',
      KONG_PORT_8000_TCP_ADDR: '10.0.0.1',
    }),
  )
  assert.deepEqual(notes, [
    'KONG_LOG_LEVLE is ignored: no setting is called log_levle (did you mean log_level?)',
    'KONG_DRAIN_TIMEOUT is ignored: the variable is called GIBBON_DRAIN_TIMEOUT',
  ])
})

test('what has no meaning here is accepted with a line, unless it says what is so anyway', () => {
  const { notes } = good(
    fromEnvironment({ KONG_NGINX_HTTP_GZIP: 'on', KONG_LUA_PACKAGE_PATH: './?.lua', KONG_ADMIN_GUI_LISTEN: 'off' }),
  )
  assert.deepEqual(notes, [
    'nginx_http_gzip (KONG_NGINX_HTTP_GZIP) does nothing here: there is no nginx here',
    'lua_package_path (KONG_LUA_PACKAGE_PATH) does nothing here: there is no Lua here',
  ])
})

test('a variable with nothing in it counts as not given', () => {
  assert.equal(good(fromEnvironment({ KONG_LOG_LEVEL: '', KONG_PROXY_LISTEN: '' })).settings.log_level, 'notice')
})

test('every setting of Kong 3.10 is known and takes Kong’s default', () => {
  const kongs = fileURLToPath(new URL('testdata/kong.conf', import.meta.url))
  // Kong's own default is PostgreSQL, which is the one value that is refused.
  const { settings, notes } = good(loadSettings({ file: kongs, env: { KONG_DATABASE: 'off' } }))
  assert.equal(settings.prefix, '/usr/local/kong')
  assert.equal(settings.proxy_access_log, '/usr/local/kong/logs/access.log')
  assert.ok(notes.some((note) => note.startsWith('lmdb_map_size ')))
})

test('Kong’s nginx directives with a meaning here set what they mean', () => {
  const { settings } = good(
    fromEnvironment({
      KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE: '2m',
      KONG_NGINX_HTTP_KEEPALIVE_TIMEOUT: '1m30s',
      KONG_NGINX_MAIN_WORKER_PROCESSES: '3',
      KONG_NGINX_PROXY_REAL_IP_HEADER: 'X-Other',
      KONG_REAL_IP_HEADER: 'X-Own-Name-Wins',
    }),
  )
  assert.equal(settings.client_max_body_size, 2 * 2 ** 20)
  assert.equal(settings.keepalive_timeout, 90_000)
  assert.equal(settings.nginx_worker_processes, 3)
  assert.equal(settings.real_ip_header, 'X-Own-Name-Wins')
})

test('a listener may be IPv6, a name, or left to the system, with any of Kong’s flags', () => {
  const listen = '[::1]:8443 ssl ipv6only=on so_keepalive=30m::10, localhost:0 deferred bind'
  const [first, second] = good(fromEnvironment({ KONG_PROXY_LISTEN: listen })).settings.proxy_listen
  assert.deepEqual(
    [first!.ip, first!.port, first!.ssl, first!.ipv6only, first!.so_keepalive],
    ['[::1]', 8443, true, true, '30m::10'],
  )
  assert.deepEqual(
    [second!.ip, second!.port, second!.deferred, second!.bind, second!.backlog],
    ['localhost', 0, true, true, undefined],
  )
  assert.deepEqual(good(fromEnvironment({ KONG_PROXY_LISTEN: 'off' })).settings.proxy_listen, [])
})

test('what is secret is neither in an error nor among the settings that are shown', () => {
  const { settings } = good(fromEnvironment({ KONG_DECLARATIVE_CONFIG_STRING: 'secret: s3cr3t' }))
  assert.equal(settings.declarative_config_string, 'secret: s3cr3t')
  assert.doesNotMatch(JSON.stringify(maskedSettings(settings)), /s3cr3t/)
})

test('settings can be handed to another thread', () => {
  const settings: Settings = settingsOf({ log_level: 'debug' })
  assert.deepEqual(structuredClone(settings), settings)
  assert.equal(settings.log_level, 'debug')
})

test('a setting may be a reference to a variable, which is shown in place of what it stands for', () => {
  const { settings, origins } = good(
    fromEnvironment({ KONG_LOG_LEVEL: '{vault://env/my-level}', MY_LEVEL: 'warn', KONG_VAULT_ENV_PREFIX: '' }),
  )
  assert.equal(settings.log_level, 'warn')
  assert.equal(maskedSettings(settings)['log_level'], '{vault://env/my-level}')
  assert.equal(origins.get('log_level')?.text, '{vault://env/my-level}')
  const prefixed = { KONG_LOG_LEVEL: '{vault://env/level}', KONG_VAULT_ENV_PREFIX: 'MY_', MY_LEVEL: 'info' }
  assert.equal(good(fromEnvironment(prefixed)).settings.log_level, 'info')
})

test('a reference that stands for nothing, or for nothing that is allowed, is a mistake that does not show a secret', () => {
  assert.deepEqual(errorsOf(fromEnvironment({ KONG_LOG_LEVEL: '{vault://env/none}' })), [
    'log_level = "{vault://env/none}" (KONG_LOG_LEVEL): the reference stands for nothing',
  ])
  assert.deepEqual(errorsOf(fromEnvironment({ KONG_LOG_LEVEL: '{vault://env/x}', X: 'secret' })), [
    'log_level = "{vault://env/x}" (KONG_LOG_LEVEL): what the reference stands for is not allowed here',
  ])
})
