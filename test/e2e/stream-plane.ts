/** A data plane for streams in the test's own thread, between real sockets. */
import type { StreamEntry } from '../../src/observe/stream-log.ts'
import type { SettingName } from '../../src/config/settings.ts'
import { listenForStreams, type StreamListener } from '../../src/proxy/stream/listener.ts'
import type { StreamStats } from '../../src/proxy/stream/session.ts'
import { secureConnector } from '../../src/proxy/upstream-tls.ts'
import { tlsPolicy } from '../../src/proxy/tls/policy.ts'
import { loadSettings } from '../../src/config/settings.ts'
import { type DataPlane, startDataPlane } from './data-plane.ts'

interface StreamPlaneOptions {
  readonly settings?: { readonly [Name in SettingName]?: string }
  readonly config: object
  /** The certificate that clients are shown by default: with it, the listener is one with `ssl`. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly proxyProtocol?: boolean
  /** Authorities (PEM) that upstreams are verified with. */
  readonly ca?: string
}

export interface StreamPlane {
  readonly port: number
  readonly plane: DataPlane
  readonly listener: StreamListener
  /** What the access log was given. */
  readonly access: StreamEntry[]
  readonly stats: Omit<StreamStats, 'ended'> & { readonly statuses: number[] }
  close(): void
}

export async function startStreamPlane(options: StreamPlaneOptions): Promise<StreamPlane> {
  const { settings = {}, config, tls, proxyProtocol = false, ca } = options
  const plane = await startDataPlane({ settings, config })
  const loaded = loadSettings({ env: {}, overrides: settings })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const access: StreamEntry[] = []
  const statuses: number[] = []
  const stats = { active: 0, received: 0, sent: 0, statuses, ended: (status: number) => void statuses.push(status) }
  const { runtime } = plane
  const listener = await listenForStreams(
    {
      runtime,
      log: runtime.log,
      connectSecure: secureConnector({ ca, log: runtime.log }),
      accessLog: (entry) => access.push(entry),
      stats,
    },
    {
      ip: '127.0.0.1',
      port: 0,
      backlog: 511,
      reusePort: false,
      proxyProtocol,
      tls: tls && {
        setup: { cert: [tls.cert], key: [tls.key], ticketKeys: Buffer.alloc(48) },
        policy: tlsPolicy(loaded.settings),
        withSecrets: (_kind, entity) => entity,
      },
    },
  )
  return {
    port: listener.port,
    plane,
    listener,
    access,
    stats,
    close() {
      listener.close('test is over')
      plane.close()
    },
  }
}

/** The configuration of one stream service, with one route that takes everything. */
export const oneStream = (port: number, service: object = {}, route: object = {}): object => ({
  services: [
    {
      name: 'up',
      protocol: 'tcp',
      host: '127.0.0.1',
      port,
      ...service,
      routes: [{ name: 'all', protocols: ['tcp'], sources: [{ ip: '0.0.0.0/0' }], ...route }],
    },
  ],
})
