/** Every setting that has a meaning here, declared once, in the schema language. */
import { readdirSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { isAddress, isAddressOrRange } from '../schema/address.ts'
import type { Field } from '../schema/field.ts'
import { didYouMean } from './nearest.ts'
import type { FormName, FormValue } from './settings-forms.ts'

/** A field whose value is written as text. `default` is that text, or the plain value. */
export interface Setting extends Field {
  readonly description: string
  readonly default?: string | number
  /** How the text is read where the type does not tell. */
  readonly $form?: FormName
  /** Other names of the same setting, as Kong's nginx directives are. */
  readonly $aliases?: readonly string[]
  /** One that Kong does not have: its variable begins with `GIBBON_`. */
  readonly $own?: true
  /** Values that Kong knows and this gateway does not know yet. */
  readonly $later?: readonly string[]
  /** What is said when it is set to something else than the default. */
  readonly $note?: string
}

const tcpPort = /:(\d{1,5})$/
const nameServer = (text: string): string | undefined => {
  const host = isAddress(text) ? text : text.replace(tcpPort, '').replace(/^\[(.*)\]$/, '$1')
  return isAddress(host) ? undefined : 'expected IP addresses with an optional port'
}
const range = (text: string): string | undefined =>
  text === 'unix:' || isAddressOrRange(text) ? undefined : 'expected IP addresses, CIDR ranges or unix:'
const ciphers = (text: string): string | undefined => {
  try {
    createSecureContext({ ciphers: text })
    return undefined
  } catch {
    return "expected OpenSSL's names of ciphers, separated by colons"
  }
}
const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
/** OpenSSL knows the first and the last version only. */
const gapless = (given: readonly string[]): string | undefined => {
  const places = given.map((version) => versions.indexOf(version)).toSorted((one, other) => one - other)
  if (places.length === 0) return 'expected at least one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3'
  return new Set(places).size === places.at(-1)! - places[0]! + 1 ? undefined : 'expected versions without a gap'
}
const listOfAddresses = { type: 'string', $check: range } as const satisfies Field

/** A plugin is a folder found by its name; to know the names, none has to be loaded. */
const plugin = (text: string): string | undefined => {
  const folders = readdirSync(new URL('../plugins/', import.meta.url), { withFileTypes: true })
  const names = ['bundled', 'off', ...folders.filter((entry) => entry.isDirectory()).map(({ name }) => name)]
  return names.includes(text) ? undefined : `no plugin is called ${text}${didYouMean(text, names)}`
}

const folder = (path: string): string | undefined =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ? undefined : 'expected a folder'

const bytes = { type: 'integer', $form: 'bytes' } as const
const time = { type: 'integer', $form: 'milliseconds' } as const
const ttl = { type: 'number', between: [0, 31_536_000] } as const

/** By Kong's names where Kong has the setting. Sizes are in bytes, times in ms, but for `dns_*_ttl`, which are in seconds. */
export const declared = {
  prefix: {
    type: 'string',
    default: './gibbon-prefix',
    description: 'The folder for the store, the pid file, the logs and the certificate made at the first start.',
  },
  role: {
    type: 'string',
    default: 'traditional',
    one_of: ['traditional', 'control_plane', 'data_plane'],
    $later: ['control_plane', 'data_plane'],
    description: 'What the node does: traditional does everything.',
  },
  database: {
    type: 'string',
    default: 'sqlite',
    one_of: ['off', 'sqlite', 'postgres'],
    description:
      'Where the configuration lives: sqlite keeps it under the prefix, postgres where many nodes share it, off takes it from a declarative file.',
  },
  pg_host: {
    type: 'string',
    default: '127.0.0.1',
    description: 'Where PostgreSQL listens: a name, an address, or the folder of its Unix socket.',
  },
  pg_port: { type: 'integer', default: 5432, between: [1, 65_535], description: 'The port of PostgreSQL.' },
  pg_user: { type: 'string', default: 'kong', description: 'The user that PostgreSQL knows this gateway as.' },
  pg_password: { type: 'string', encrypted: true, description: 'The password of pg_user.' },
  pg_database: { type: 'string', default: 'kong', description: 'The database.' },
  pg_schema: {
    type: 'string',
    description: "The schema of the gateway's tables in it; what the server's search_path says when not given.",
  },
  pg_timeout: {
    type: 'integer',
    default: 5000,
    between: [1, 2 ** 31 - 2],
    description: 'How long, in ms, connecting to PostgreSQL or an answer of it may take.',
  },
  pg_ssl: {
    type: 'boolean',
    default: 'off',
    description: 'Whether to speak TLS with PostgreSQL; a server that does not is then refused.',
  },
  pg_ssl_verify: {
    type: 'boolean',
    default: 'off',
    description: "Whether PostgreSQL's certificate is checked, against lua_ssl_trusted_certificate.",
  },
  declarative_config: {
    type: 'string',
    description: 'With database = off, the YAML or JSON file that holds the whole configuration.',
  },
  declarative_config_string: {
    type: 'string',
    encrypted: true,
    description: 'With database = off, the whole configuration itself, as YAML or JSON.',
  },
  keyring_file: {
    type: 'string',
    $own: true,
    description: 'A file with the keys that secrets in the store are sealed with, a line each; the first one seals.',
  },
  keyring: {
    type: 'string',
    encrypted: true,
    $own: true,
    description: 'The keys themselves, separated by commas, in place of keyring_file.',
  },
  declarative_config_watch: {
    type: 'boolean',
    default: 'off',
    $own: true,
    description: 'Whether the file that declarative_config names is loaded again when it changes.',
  },
  node_id: { type: 'string', uuid: true, description: 'The id of this node; made at the first start when not given.' },

  proxy_listen: {
    type: 'any',
    $form: 'listeners',
    default: '0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384',
    description: 'Where the proxy listens.',
  },
  admin_listen: {
    type: 'any',
    $form: 'listeners',
    default: '127.0.0.1:8001 reuseport backlog=16384',
    description: 'Where the Admin API listens. Whoever reaches it controls the gateway.',
  },
  status_listen: {
    type: 'any',
    $form: 'listeners',
    default: 'off',
    description: 'Where the Status API listens: /status, /status/ready and /metrics, and nothing else.',
  },
  stream_listen: {
    type: 'any',
    $form: 'streamListeners',
    default: 'off',
    description: 'Where streams of TCP are proxied, and with ssl those of TLS.',
  },
  port_maps: {
    type: 'any',
    $form: 'portMaps',
    default: '',
    description: 'Which ports clients see in place of those listened on, such as 80:8000, 443:8443.',
  },
  admin_hosts: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    $own: true,
    description: 'Host names, beside IP addresses, localhost and names without a dot, that the Admin API answers to.',
  },
  admin_origins: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    $own: true,
    description: 'Origins, such as https://manager.example, whose web pages may use the Admin API.',
  },
  admin_tokens: {
    type: 'string',
    default: 'off',
    one_of: ['off', 'required'],
    $own: true,
    description: 'Whether the Admin API asks for a token, made by gibbon admin-token, in the header Kong-Admin-Token.',
  },
  admin_token: {
    type: 'string',
    len_min: 32,
    encrypted: true,
    $own: true,
    description:
      'A token of your own with the role admin, of 32 characters or more, for this node, besides those made.',
  },
  admin_ssl_cert: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    description: 'Certificate files (PEM) of admin_listen with ssl; a self-signed one is made when not given.',
  },
  admin_ssl_cert_key: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    encrypted: true,
    description: 'The keys (PEM files) of admin_ssl_cert, in the same order.',
  },
  status_ssl_cert: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    description: 'Certificate files (PEM) of status_listen with ssl; a self-signed one is made when not given.',
  },
  status_ssl_cert_key: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    encrypted: true,
    description: 'The keys (PEM files) of status_ssl_cert, in the same order.',
  },
  admin_ssl_client_ca: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    $own: true,
    description:
      'Authorities (PEM files) one of which must have signed the certificate of whoever uses admin_listen with ssl.',
  },
  ssl_cert: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    description: 'Certificate files (PEM) of the proxy; a self-signed one is made under the prefix when not given.',
  },
  ssl_cert_key: {
    type: 'array',
    elements: { type: 'string' },
    default: '',
    encrypted: true,
    description: 'The keys (PEM files) of ssl_cert, in the same order.',
  },
  ssl_cipher_suite: {
    type: 'string',
    default: 'intermediate',
    one_of: ['modern', 'intermediate', 'old', 'fips', 'custom'],
    description:
      "TLS versions and ciphers of the proxy, by Mozilla's names; custom for the three settings that follow.",
  },
  ssl_ciphers: {
    type: 'string',
    $check: ciphers,
    description: "With ssl_cipher_suite = custom, the ciphers in OpenSSL's notation.",
  },
  ssl_protocols: {
    type: 'array',
    elements: { type: 'string', one_of: ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] },
    $form: 'words',
    default: 'TLSv1.2 TLSv1.3',
    $check: gapless,
    description: 'With ssl_cipher_suite = custom, the TLS versions, without a gap between them.',
  },
  ssl_prefer_server_ciphers: {
    type: 'boolean',
    default: 'on',
    description: "With ssl_cipher_suite = custom, whether the gateway's order of ciphers counts, or else the client's.",
  },
  ssl_dhparam: {
    type: 'string',
    description: 'A file with Diffie-Hellman parameters; those that suit the certificate when not given.',
  },
  ssl_session_tickets: {
    type: 'boolean',
    default: 'on',
    description: 'Whether clients may resume TLS sessions; the key of the tickets is changed from time to time.',
  },
  ssl_session_timeout: {
    ...time,
    default: '1d',
    between: [1000, 604_800_000],
    description: 'How long a client may resume a TLS session.',
  },
  lua_ssl_trusted_certificate: {
    type: 'array',
    elements: { type: 'string' },
    default: 'system',
    description:
      'What upstream certificates are checked against: PEM files, and system for the well-known authorities.',
  },

  nginx_worker_processes: {
    type: 'integer',
    $form: 'workers',
    default: 'auto',
    between: [1, 1024],
    $aliases: ['nginx_main_worker_processes'],
    description: 'Threads that proxy; auto is one per core.',
  },
  plugins: {
    type: 'array',
    elements: { type: 'string', $check: plugin },
    default: 'bundled',
    description: 'Plugins that may be used; bundled stands for all that come along; off in the first place for none.',
  },
  wasm: {
    type: 'boolean',
    default: 'off',
    $note:
      'filter chains are kept and shown, but no WebAssembly is run: requests that one is for are answered with 500',
    description:
      'Whether filter chains may be configured. None is run: requests that one is for are answered with 500.',
  },
  wasm_filters: {
    type: 'array',
    elements: { type: 'string' },
    default: 'bundled, user',
    description: 'Filters that chains may name: user for all in wasm_filters_path, single ones by name, off for none.',
  },
  wasm_filters_path: {
    type: 'string',
    $check: folder,
    description: 'The folder of the filters, NAME.wasm each, and of what they say of their config, NAME.meta.json.',
  },
  vault_env_prefix: {
    type: 'string',
    description: 'What the variables begin with that {vault://env/NAME} stands for.',
  },
  router_flavor: {
    type: 'string',
    default: 'traditional_compatible',
    one_of: ['traditional', 'traditional_compatible', 'expressions'],
    description:
      'How routes are written: expressions lets them have an expression; traditional and traditional_compatible route alike here.',
  },

  log_level: {
    type: 'string',
    default: 'notice',
    one_of: ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg'],
    description: 'The least severe messages that the error log holds.',
  },
  log_format: {
    type: 'string',
    default: 'auto',
    one_of: ['auto', 'text', 'json'],
    $own: true,
    description: 'How log lines look: text for people, json for programs; auto is text on a terminal, else json.',
  },
  proxy_access_log: {
    type: 'string',
    default: '/dev/stdout',
    description:
      'Where a line per proxied request goes: a file (below the prefix if relative), /dev/stdout, /dev/stderr or off.',
  },
  proxy_error_log: {
    type: 'string',
    default: '/dev/stderr',
    description: 'Where the proxy and the gateway itself report what happens.',
  },
  proxy_stream_access_log: {
    type: 'string',
    default: '/dev/stdout',
    description: 'Where a line per connection of stream_listen goes when it is over.',
  },
  proxy_stream_error_log: {
    type: 'string',
    default: '/dev/stderr',
    description: 'Where proxying streams reports what happens.',
  },
  admin_access_log: {
    type: 'string',
    default: 'logs/admin_access.log',
    description: 'Where a line per Admin API request goes.',
  },
  admin_audit_log: {
    type: 'string',
    default: 'off',
    $own: true,
    description: 'Where a JSON line per write through the Admin API goes: who changed what, secrets masked.',
  },
  admin_error_log: { type: 'string', default: '/dev/stderr', description: 'Where the Admin API reports what happens.' },
  status_access_log: {
    type: 'string',
    default: 'off',
    description: 'Where a line per request to the Status API goes.',
  },
  status_error_log: {
    type: 'string',
    default: '/dev/stderr',
    description: 'Where the Status API reports what happens.',
  },
  log_queue_bytes: {
    ...bytes,
    default: '8m',
    between: [65_536, 2 ** 30],
    $own: true,
    description: 'Log lines that may wait for a slow disk or reader, per worker and log; more are dropped and counted.',
  },

  headers: {
    type: 'any',
    $form: 'headerTokens',
    default: 'server_tokens, latency_tokens, X-Kong-Request-Id',
    description: 'Headers put on answers to clients: server_tokens, latency_tokens, single header names, or off.',
  },
  headers_upstream: {
    type: 'any',
    $form: 'headerTokens',
    default: 'X-Kong-Request-Id',
    description: 'Headers put on requests to upstreams: X-Kong-Request-Id, or off.',
  },
  request_debug: {
    type: 'boolean',
    default: 'on',
    description:
      'Whether a request with the header X-Kong-Request-Debug: * is answered with where its time went, if it comes from this machine or has the token.',
  },
  request_debug_token: {
    type: 'string',
    encrypted: true,
    description:
      'What X-Kong-Request-Debug-Token must be; one is made at each start, and kept in .request_debug_token under the prefix, when not given.',
  },
  server_timing: {
    type: 'boolean',
    default: 'off',
    $own: true,
    description:
      'Whether answers to requests that are debugged also have the header Server-Timing, which browsers show.',
  },
  trusted_ips: {
    type: 'array',
    elements: listOfAddresses,
    default: '',
    description: 'Addresses of proxies in front, whose X-Forwarded-* and real_ip_header are believed.',
  },
  real_ip_header: {
    type: 'string',
    default: 'X-Real-IP',
    $aliases: ['nginx_proxy_real_ip_header', 'nginx_http_real_ip_header'],
    description: "The header that names the client's address, believed from trusted_ips.",
  },
  real_ip_recursive: {
    type: 'boolean',
    default: 'off',
    $aliases: ['nginx_proxy_real_ip_recursive', 'nginx_http_real_ip_recursive'],
    description: 'Whether trusted addresses in that header are skipped, from the right, to find the client.',
  },
  error_default_type: {
    type: 'string',
    default: 'text/plain',
    one_of: ['application/json', 'application/xml', 'text/html', 'text/plain'],
    description: "The form of the gateway's own errors for clients without an Accept header.",
  },
  error_format: {
    type: 'string',
    default: 'kong',
    one_of: ['kong', 'problem', 'template'],
    $own: true,
    description:
      "The body of refused requests, the gateway's own and plugins': as Kong has it, problem details (RFC 9457), or error_template.",
  },
  error_template: {
    type: 'string',
    $own: true,
    description:
      'With error_format = template, a file with the body: {{message}}, {{status}}, {{title}} and {{request_id}} are filled in.',
  },
  error_content_type: {
    type: 'string',
    default: 'application/json; charset=utf-8',
    $own: true,
    description: 'The Content-Type of error_template, by which what is filled in is escaped.',
  },

  upstream_keepalive_pool_size: {
    type: 'integer',
    default: 512,
    between: [0, 1_000_000],
    description: 'Idle upstream connections kept, per worker; 0 keeps none.',
  },
  upstream_keepalive_max_requests: {
    type: 'integer',
    default: 10_000,
    between: [0, 1_000_000_000],
    description: 'Requests that an upstream connection carries before it is closed; 0 for any number.',
  },
  upstream_keepalive_idle_timeout: {
    ...time,
    default: '60s',
    between: [0, 86_400_000],
    description: 'How long an idle upstream connection is kept; 0 for ever.',
  },

  dns_resolver: {
    type: 'array',
    elements: { type: 'string', $check: nameServer },
    default: '',
    $aliases: ['resolver_address'],
    description: 'Name servers (address or address:port); those of /etc/resolv.conf when not given.',
  },
  dns_hostsfile: {
    type: 'string',
    default: '/etc/hosts',
    $aliases: ['resolver_hosts_file'],
    description: 'The hosts file, read at the start.',
  },
  dns_order: {
    type: 'array',
    elements: { type: 'string', one_of: ['LAST', 'SRV', 'A', 'AAAA', 'CNAME'] },
    default: 'LAST,SRV,A,CNAME',
    $aliases: ['resolver_family', 'dns_family'],
    description: 'Record types asked for, in order; LAST is the one that was found before.',
  },
  dns_valid_ttl: {
    ...ttl,
    $aliases: ['resolver_valid_ttl'],
    description: 'Seconds that an answer is kept, in place of its own time.',
  },
  dns_stale_ttl: {
    ...ttl,
    default: 3600,
    $aliases: ['resolver_stale_ttl'],
    description: 'Seconds that an outlived answer may be used while a new one is asked for.',
  },
  dns_cache_size: {
    type: 'integer',
    default: 10_000,
    between: [1, 10_000_000],
    $aliases: ['resolver_lru_cache_size'],
    description: 'Names remembered, per worker.',
  },
  dns_not_found_ttl: { ...ttl, default: 30, description: 'Seconds that the absence of a name is remembered.' },
  dns_error_ttl: {
    ...ttl,
    default: 1,
    $aliases: ['resolver_error_ttl'],
    description: 'Seconds that a failed question is remembered.',
  },

  client_max_body_size: {
    ...bytes,
    default: '0',
    $aliases: ['nginx_http_client_max_body_size', 'nginx_proxy_client_max_body_size'],
    description: 'The longest request body; 0 for any, which nothing holds in memory. Longer ones are answered 413.',
  },
  client_body_buffer_size: {
    ...bytes,
    default: '64k',
    between: [0, 2 ** 30],
    $aliases: ['nginx_http_client_body_buffer_size', 'nginx_proxy_client_body_buffer_size'],
    description:
      'What of a request body is read before the upstream is asked, or, with request_buffering, before it may wait in a file.',
  },
  lua_max_req_headers: {
    type: 'integer',
    default: 100,
    between: [1, 1000],
    description: 'The most header lines of a request; more are answered 400.',
  },
  request_line_bytes: {
    ...bytes,
    default: '8k',
    between: [512, 2 ** 20],
    $own: true,
    description: 'The longest request line; longer ones are answered 414.',
  },
  request_head_bytes: {
    ...bytes,
    default: '32k',
    between: [1024, 2 ** 20],
    $own: true,
    description: 'The longest head of a request; longer ones are answered 400.',
  },
  response_head_bytes: {
    ...bytes,
    default: '32k',
    between: [1024, 2 ** 20],
    $own: true,
    description: "The longest head of an upstream's response; longer ones are answered 502.",
  },
  max_connections: {
    type: 'integer',
    $form: 'connections',
    default: 'auto',
    between: [1, 1_000_000],
    $own: true,
    $aliases: ['nginx_events_worker_connections'],
    description: 'Client connections per worker, auto being 16384; further ones are closed at once.',
  },
  client_buffers_limit: {
    ...bytes,
    default: '64m',
    between: [2 ** 20, 2 ** 40],
    $own: true,
    description:
      'What all clients together may make the gateway hold while it waits for them: incomplete heads and bodies, answers without a window; shared by the workers. Above it those who hold much for longest are answered 503 or cut.',
  },
  proxy_max_temp_file_size: {
    ...bytes,
    default: '1g',
    between: [0, 2 ** 40],
    $aliases: ['nginx_http_proxy_max_temp_file_size', 'nginx_proxy_proxy_max_temp_file_size'],
    description:
      'What of one body may wait in a file below the prefix, where the route has request_buffering or response_buffering; 0 for nothing.',
  },
  temp_files_limit: {
    ...bytes,
    default: '4g',
    between: [0, 2 ** 50],
    $own: true,
    description:
      'What all these files may hold, shared by the workers. Above it bodies flow as the slower side takes them.',
  },
  client_header_timeout: {
    ...time,
    default: '60s',
    between: [1, 86_400_000],
    $own: true,
    $aliases: ['nginx_http_client_header_timeout', 'nginx_proxy_client_header_timeout'],
    description: 'How long a client may take to send a request head.',
  },
  client_body_timeout: {
    ...time,
    default: '60s',
    between: [1, 86_400_000],
    $own: true,
    $aliases: ['nginx_http_client_body_timeout', 'nginx_proxy_client_body_timeout'],
    description: 'How long a client may pause within a request body.',
  },
  keepalive_timeout: {
    ...time,
    default: '75s',
    between: [0, 86_400_000],
    $own: true,
    $aliases: ['nginx_http_keepalive_timeout', 'nginx_proxy_keepalive_timeout'],
    description: 'How long an idle client connection is kept; 0 closes it after each answer.',
  },
  keepalive_requests: {
    type: 'integer',
    default: 10_000,
    between: [1, 1_000_000_000],
    $own: true,
    $aliases: ['nginx_http_keepalive_requests', 'nginx_proxy_keepalive_requests'],
    description: 'Requests that a client connection carries before it is closed.',
  },
  http2_max_concurrent_streams: {
    type: 'integer',
    default: 128,
    between: [1, 10_000],
    $own: true,
    $aliases: ['nginx_http_http2_max_concurrent_streams', 'nginx_proxy_http2_max_concurrent_streams'],
    description: 'Requests that may be under way in one HTTP/2 connection of a client.',
  },
  http2_body_buffer_size: {
    ...bytes,
    default: '256k',
    between: [65_535, 2 ** 30],
    $own: true,
    description:
      'How much of request bodies one HTTP/2 connection of a client may hold, in all its streams, and how much of their heads.',
  },
  http2_connection_time: {
    ...time,
    default: '1h',
    between: [1, 86_400_000],
    $own: true,
    $aliases: ['nginx_http_keepalive_time', 'nginx_proxy_keepalive_time'],
    description:
      'For how long an HTTP/2 connection of a client takes new requests; its client is then told, and it ends when those under way are answered.',
  },
  send_timeout: {
    ...time,
    default: '60s',
    between: [1, 86_400_000],
    $own: true,
    $aliases: ['nginx_http_send_timeout', 'nginx_proxy_send_timeout'],
    description: 'How long a client may take none of an answer.',
  },
  drain_timeout: {
    ...time,
    default: '10s',
    between: [0, 86_400_000],
    $own: true,
    description: 'How long a stop waits for requests in flight.',
  },
  reload_drain_timeout: {
    ...time,
    default: '10m',
    between: [0, 86_400_000],
    $own: true,
    description:
      'How long a process that gibbon reload has replaced lets its connections end by themselves before it stops.',
  },
  admin_body_bytes: {
    ...bytes,
    default: '10m',
    between: [1024, 2 ** 30],
    $own: true,
    $aliases: ['nginx_admin_client_max_body_size'],
    description: 'The longest body that the Admin API takes.',
  },
  mem_cache_size: {
    ...bytes,
    default: '128m',
    between: [65_536, 2 ** 40],
    description: 'Memory for consumers and credentials read from the store, shared by the workers.',
  },
  worker_heap_size: {
    ...bytes,
    default: '2g',
    between: [64 * 2 ** 20, 2 ** 40],
    $own: true,
    description:
      "The heap of each proxy worker: one that needs more is replaced. All of them together get half of the machine's or the container's memory at most, but no less than 256m each.",
  },
  token_cache_bytes: {
    ...bytes,
    default: '64m',
    between: [0, 2 ** 40],
    $own: true,
    description: 'Memory per worker for tokens that were verified before.',
  },
} as const satisfies { readonly [name: string]: Setting }

type Declared = typeof declared
type ValueOf<S extends Setting> = S extends { readonly $form: infer Name extends FormName }
  ? FormValue<Name>
  : S extends { readonly one_of: readonly (infer One)[] }
    ? S extends { readonly $later: readonly (infer Later)[] }
      ? Exclude<One, Later>
      : One
    : S['type'] extends 'boolean'
      ? boolean
      : S['type'] extends 'integer' | 'number'
        ? number
        : S['type'] extends 'array'
          ? readonly string[]
          : string

export type SettingName = keyof Declared

/** Every setting's value. Plain data, so that it can be handed to other threads. */
export type Settings = {
  readonly [Name in SettingName]: Declared[Name] extends { readonly default: string | number }
    ? ValueOf<Declared[Name]>
    : ValueOf<Declared[Name]> | undefined
} & {
  /** The settings whose values are secrets, by name, with the references that they were given by. */
  readonly $references?: Readonly<Record<string, string>>
}

/** The declarations with their full type, for code that goes through all of them. */
export const allSettings: ReadonlyMap<SettingName, Setting> = new Map(
  Object.entries(declared) as [SettingName, Setting][],
)
