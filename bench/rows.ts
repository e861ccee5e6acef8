/** What is measured: each row is a gateway, how it is started, and what it is sent. */
import type { Section } from './options.ts'
import { cores } from './processes.ts'
import { envoy, envoyHs256 } from './subjects/envoy.ts'
import { fastifyHs256 } from './subjects/fastify.ts'
import {
  gibbonBasicAuth,
  gibbonClaims,
  gibbonCredentials1m,
  gibbonEdDsa,
  gibbonEs256,
  gibbonHs256,
  gibbonJwks,
  gibbonKeyAuth,
  gibbonLimits,
  gibbonObserve,
  gibbonPlain,
  gibbonRoutes100,
  gibbonRoutes10k,
  gibbonRs256,
  gibbonTokens10k,
  gibbonTokens1m,
} from './subjects/gibbon.ts'
import { haproxy, haproxyHs256, haproxyRs256 } from './subjects/haproxy.ts'
import { nginx } from './subjects/nginx.ts'
import type { Subject } from './subjects/subject.ts'

export interface Row {
  readonly section: Section
  /** What sets it apart from the subject's other rows of the section; empty where nothing does. */
  readonly variant: string
  readonly subject: Subject
  readonly tls: boolean
  readonly http2: boolean
  readonly allCores: boolean
  readonly accessLog: boolean
  /** Bytes of the request's and the answer's body; 0 for none, and for the usual short answer. */
  readonly up: number
  readonly down: number
}

/** What tells a row from all others. */
export const nameOf = ({ subject, variant }: Pick<Row, 'subject' | 'variant'>): string =>
  variant === '' ? subject.name : `${subject.name}, ${variant}`

const row = (section: Section, subject: Subject, how: Partial<Row> = {}): Row => ({
  section,
  variant: '',
  subject,
  tls: false,
  http2: false,
  allCores: false,
  accessLog: false,
  up: 0,
  down: 0,
  ...how,
})

const alone: readonly Subject[] = [
  nginx,
  haproxy,
  haproxyHs256,
  haproxyRs256,
  envoy,
  envoyHs256,
  fastifyHs256,
  gibbonPlain,
  gibbonHs256,
  gibbonRs256,
  gibbonEs256,
  gibbonEdDsa,
  gibbonTokens10k,
  gibbonTokens1m,
  gibbonRoutes100,
  gibbonRoutes10k,
  gibbonKeyAuth,
  gibbonLimits,
  gibbonBasicAuth,
  gibbonJwks,
  gibbonObserve,
  gibbonClaims,
]

const kibi = 1024
const bodies = [
  { variant: '150 B up', up: 150 },
  { variant: '10 KB down', down: 10 * kibi },
  { variant: '10 KB up', up: 10 * kibi },
  { variant: '1 MB down', down: kibi * kibi },
  { variant: '1 MB up', up: kibi * kibi },
]
const withBodies = [nginx, haproxy, haproxyHs256, envoyHs256, fastifyHs256, gibbonPlain, gibbonHs256]
const withHttp2 = [nginx, haproxy, haproxyHs256, envoy, envoyHs256, gibbonPlain, gibbonHs256]
const few = [nginx, haproxy, haproxyHs256, gibbonPlain, gibbonHs256]

/** All rows, the base of each section's ratios first. */
export const rows: readonly Row[] = [
  ...alone.map((subject) => row('requests', subject)),
  ...bodies.flatMap((body) => withBodies.map((subject) => row('bodies', subject, body))),
  ...few.map((subject) => row('tls', subject, { tls: true, variant: 'TLS' })),
  ...withHttp2.map((subject) => row('http2', subject, { http2: true, variant: 'HTTP/2' })),
  ...few.map((subject) => row('cores', subject, { allCores: true, variant: 'all cores' })),
  ...[nginx, gibbonHs256, gibbonCredentials1m].map((subject) => row('credentials', subject)),
  ...few.map((subject) => row('logs', subject, { accessLog: true, variant: 'access log' })),
]

/** Who is asked at a steady rate; the limit of each is found first. */
export const steady: readonly Row[] = [nginx, haproxyHs256, envoyHs256, fastifyHs256, gibbonHs256].map((subject) =>
  row('latency', subject),
)
/** Parts of the limit. */
export const steadyShares = [0.5, 0.9] as const

export const coresOf = ({ allCores }: Pick<Row, 'allCores'>): string => (allCores ? cores.all : cores.gateway)
