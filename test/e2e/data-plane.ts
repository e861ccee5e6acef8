/** A data plane in the test's own thread: the whole road between real sockets, with a configuration and plugins of the test's own. */
import { parseDeclarative } from '../../src/config/declarative.ts'
import { loadSettings, type SettingName } from '../../src/config/settings.ts'
import { takeSnapshot } from '../../src/config/snapshot.ts'
import type { AccessEntry, Log } from '../../src/observe/log.ts'
import type { Plugin } from '../../src/pdk/plugin.ts'
import { testEntities } from '../../src/pdk/testing.ts'
import { createRuntime } from '../../src/proxy/create-runtime.ts'
import { createResolver } from '../../src/proxy/dns/resolver.ts'
import { listen, type Listener } from '../../src/proxy/listener.ts'
import { compile, type PlanTools } from '../../src/proxy/plan.ts'
import type { Runtime } from '../../src/proxy/runtime.ts'
import { tlsPolicy } from '../../src/proxy/tls/policy.ts'

interface DataPlaneOptions {
  readonly settings?: { readonly [Name in SettingName]?: string }
  /** The configuration, as in a declarative file. */
  readonly config: object
  /** Plugins that run for every request, in this order. */
  readonly plugins?: readonly Partial<Plugin<object>>[]
  readonly http2?: boolean
  readonly tls?: { readonly cert: string; readonly key: string }
}

export interface DataPlane {
  readonly port: number
  readonly runtime: Runtime
  /** Lines of the error log. */
  readonly log: string[]
  /** What the access log was given. */
  readonly access: AccessEntry[]
  readonly listener: Listener
  /** Puts another configuration in force. */
  adopt(config: object): void
  close(): void
}

export async function startDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const loaded = loadSettings({ env: {}, overrides: { dns_hostsfile: '/etc/hosts', ...options.settings } })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const plugins = new Map(
    (options.plugins ?? []).map((plugin, at) => [
      `test-${at}`,
      { version: '1', priority: 1000 - at, prepare: (config: object) => config, ...plugin },
    ]),
  )
  const log: string[] = []
  const tools: PlanTools = {
    resolver: createResolver({ hostsFile: '/etc/hosts', servers: [] }),
    plugins,
    withSecrets: (_kind, entity) => entity,
    warn: (message) => void log.push(`warn: ${message}`),
  }
  const compiled = (config: object) => compile(tools, snapshotOf(config, [...plugins.keys()]))
  const access: AccessEntry[] = []
  const runtime = createRuntime(loaded.settings, {
    config: compiled(options.config),
    entities: testEntities(),
    log: logInto(log),
    accessLog: (entry) => access.push(entry),
    product: 'gibbon/0.0.0',
    stats: { accepted: 0, active: 0, requests: 0, refused: 0, answered: () => {} },
  })
  const listener = await listen(runtime, {
    ip: '127.0.0.1',
    port: 0,
    backlog: 511,
    reusePort: false,
    proxyProtocol: false,
    http2: options.http2 ?? false,
    tls: options.tls && {
      setup: { cert: [options.tls.cert], key: [options.tls.key], ticketKeys: Buffer.alloc(48) },
      policy: tlsPolicy(loaded.settings),
      withSecrets: tools.withSecrets,
    },
  })
  return {
    port: listener.port,
    runtime,
    log,
    access,
    listener,
    adopt: (config) => void (runtime.config = compiled(config)),
    close() {
      listener.close()
      runtime.pools.close()
      runtime.deadlines.close()
    },
  }
}

function snapshotOf(config: object, plugins: readonly string[]) {
  const declaration = parseDeclarative({ _format_version: '3.0', ...config })
  if (!declaration.ok) throw new Error(JSON.stringify(declaration))
  const entities = [
    ...declaration.entities,
    ...plugins.map((name) => ({
      kind: 'plugins',
      entity: {
        id: name,
        name,
        enabled: true,
        protocols: ['http', 'https'],
        config: {},
        route: null,
        service: null,
        consumer: null,
      },
    })),
  ]
  return takeSnapshot({
    revision: 1,
    get: () => undefined,
    all: (kind) => entities.flatMap((loaded) => (loaded.kind === kind ? [loaded.entity] : [])),
  })
}

function logInto(lines: string[]): Log {
  const at = (level: string) => (message: string, fields?: object) =>
    void lines.push(`${level}: ${message}${fields ? ` ${JSON.stringify(fields)}` : ''}`)
  return new Proxy({} as Log, { get: (_, level) => at(String(level)) })
}

/** The configuration of one service at `port`, with one route for everything. */
export const oneService = (port: number, service: object = {}, route: object = {}): object => ({
  services: [
    {
      name: 'up',
      host: '127.0.0.1',
      port,
      ...service,
      routes: [{ name: 'all', paths: ['/'], strip_path: false, ...route }],
    },
  ],
})
