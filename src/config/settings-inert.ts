/**
 * Settings of Kong's that are understood but have nothing to say here. People bring their existing files and variables, so
 * each is accepted with one line that says so, unless the value given is what happens here anyway.
 */
interface Inert {
  readonly why: string
  readonly names: string
  /** Values that say what is so anyway; `*` for all. */
  readonly quiet?: readonly string[]
}

const nginx = 'there is no nginx here'
const lua = 'there is no Lua here'

const groups: readonly Inert[] = [
  {
    why: `${nginx}, and gibbon start stays in the foreground`,
    names: 'nginx_daemon nginx_main_daemon',
    quiet: ['off'],
  },
  { why: `${nginx}; the user is that who starts the gateway`, names: 'nginx_user nginx_main_user' },
  {
    why: lua,
    names: `lua_socket_pool_size lua_ssl_verify_depth lua_ssl_protocols lua_package_path lua_package_cpath
      untrusted_lua untrusted_lua_sandbox_requires untrusted_lua_sandbox_environment`,
  },
  {
    why: 'arguments and response headers are bounded by response_head_bytes and request_line_bytes',
    names: 'lua_max_resp_headers lua_max_uri_args lua_max_post_args',
  },
  { why: 'the store is SQLite under the prefix', names: 'lmdb_environment_path lmdb_map_size' },
  {
    why: 'a change is in force, in every worker, when it is answered',
    names: `db_update_frequency db_update_propagation worker_consistency router_consistency worker_state_update_frequency
      worker_events_max_payload dedicated_config_processing privileged_worker`,
  },
  {
    why: 'what is cached leaves the cache when it changes; mem_cache_size bounds it',
    names: 'db_cache_ttl db_cache_neg_ttl db_resurrect_ttl db_cache_warmup_entities',
  },
  {
    why: 'a node has one connection to PostgreSQL, kept open, and reads nothing over it but changes',
    names: `pg_max_concurrent_queries pg_semaphore_timeout pg_keepalive_timeout pg_pool_size pg_backlog
      _debug_pg_ttl_cleanup_interval`,
  },
  {
    why: 'with pg_ssl = on, PostgreSQL has to speak TLS, in the versions that Node.js has',
    names: 'pg_ssl_required pg_ssl_version',
    quiet: ['on'],
  },
  {
    why: 'everything is read from the local copy',
    names: `pg_ro_host pg_ro_port pg_ro_timeout pg_ro_user pg_ro_password pg_ro_database pg_ro_schema pg_ro_ssl
      pg_ro_ssl_verify pg_ro_max_concurrent_queries pg_ro_semaphore_timeout pg_ro_keepalive_timeout pg_ro_pool_size
      pg_ro_backlog`,
  },
  {
    why: 'control planes and data planes are not available yet',
    names: `cluster_mtls cluster_cert cluster_cert_key cluster_ca_cert cluster_server_name cluster_control_plane
      cluster_max_payload cluster_dp_labels cluster_listen cluster_data_plane_purge_delay cluster_ocsp cluster_use_proxy
      cluster_rpc cluster_rpc_sync cluster_cjson`,
    quiet: ['off'],
  },
  {
    why: 'there is no web interface yet',
    names: `admin_gui_listen admin_gui_url admin_gui_path admin_gui_api_url admin_gui_csp_header admin_gui_ssl_cert
      admin_gui_ssl_cert_key admin_gui_access_log admin_gui_error_log`,
    quiet: ['off'],
  },
  {
    why: 'tracing is not available yet',
    names: 'opentelemetry_tracing opentelemetry_tracing_sampling_rate tracing_instrumentations tracing_sampling_rate',
    quiet: ['off'],
  },
  {
    why: 'WebAssembly filters are not available',
    names: 'wasm_dynamic_module',
  },
  {
    why: 'TLS sessions are resumed by tickets, which need no cache',
    names: 'ssl_session_cache_size',
  },
  {
    why: 'client certificates towards upstreams are not available yet',
    names: 'client_ssl client_ssl_cert client_ssl_cert_key',
    quiet: ['off'],
  },
  {
    why: 'TLS of its own on this interface is not available yet',
    names: 'debug_ssl_cert debug_ssl_cert_key',
  },
  {
    why: 'errors have their built-in form',
    names: 'error_template_html error_template_json error_template_xml error_template_plain',
  },
  { why: 'plugin servers are not available', names: 'pluginserver_names' },
  { why: 'the bundled vaults are there', names: 'vaults', quiet: ['bundled'] },
  { why: 'nothing is ever reported to anyone', names: 'anonymous_reports', quiet: ['off', 'false'] },
  { why: 'the gateway itself calls nobody', names: 'proxy_server proxy_server_ssl_verify' },
  {
    why: 'the header Kong-Debug is not looked at; X-Kong-Request-Debug is',
    names: 'allow_debug_header',
    quiet: ['off'],
  },
  {
    why: 'there is one DNS client, and it needs no such setting',
    names: 'new_dns_client dns_no_sync resolver_mem_cache_size',
    quiet: ['off'],
  },
  { why: 'it is worked out from port_maps', names: 'host_ports' },
  { why: lua, names: 'openresty_path' },
  { why: 'ingress controllers need no such switch', names: 'kic', quiet: ['*'] },
]

/** Families of names that Kong takes any member of. */
const families: readonly { readonly prefix: string; readonly why: string }[] = [
  { prefix: 'nginx_', why: nginx },
  { prefix: 'pluginserver_', why: 'plugin servers are not available' },
  { prefix: 'vault_', why: 'the vault of environment variables has no such setting, and there is no other yet' },
]

const byName: ReadonlyMap<string, Inert> = new Map(
  groups.flatMap((group) => group.names.split(/\s+/).map((name) => [name, group] as const)),
)

/** The names that stand for themselves, for guesses at mistyped ones. */
export const inertNames: readonly string[] = [...byName.keys()]

/** Why a setting of Kong's does nothing here; empty where that needs no saying, undefined where Kong has no such setting. */
export function whyInert(name: string, text: string): string | undefined {
  const inert = byName.get(name)
  if (inert) return inert.quiet?.some((value) => value === '*' || value === text) ? '' : inert.why
  return families.find(({ prefix }) => name.startsWith(prefix) && name.length > prefix.length)?.why
}
