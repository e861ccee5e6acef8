import type { Entities } from './entities.ts'
import type { AccessKong, Answer, BodyFilterKong, HeaderFilterKong, LogKong, RewriteKong } from './kong.ts'

/** What `rewrite` and `access` give: nothing (go on), an answer (end here), or a promise of either where they must wait. */
export type Outcome = Answer | undefined | void | Promise<Answer | undefined | void>

/** What `prepare` is told of the plugin entity that a config belongs to. */
export interface Instance {
  readonly id: string
  readonly name: string
  /** The ids of the route and of the service that it is limited to. Absent where it is not. */
  readonly route?: string | undefined
  readonly service?: string | undefined
  /** Logs, once, what is allowed but hardly meant in a config. Absent where nobody reads it. */
  readonly warn?: (message: string) => void
}

/** A document that the gateway serves itself, to GET and HEAD, whoever asks: no route is looked for and no other plugin runs. */
export interface ServedDocument {
  /** The Host header that it is asked for with, in lower case; undefined for any. */
  readonly host?: string
  readonly path: string
  answer(entities: Entities): Answer | Promise<Answer>
}

/**
 * A plugin: the default export of `plugins/<name>/handler.ts`.
 * `Config` is the checked config (`Entity<typeof schema>`'s `config`); `Ready` is what `prepare` makes of it, once, when the
 * configuration is put in force, and what every phase function is given.
 */
export interface Plugin<Config, Ready = Config> {
  readonly version: string
  /** Higher runs earlier. */
  readonly priority: number
  prepare(config: Config, instance: Instance): Ready
  rewrite?(kong: RewriteKong, ready: Ready): Outcome
  access?(kong: AccessKong, ready: Ready): Outcome
  /**
   * Runs when `access` of all plugins is over, whether the request goes on or is answered: nothing of the answer is out yet, and who
   * the client is will not change any more. What it returns is waited for.
   */
  after_access?(kong: AccessKong, ready: Ready): void | Promise<void>
  header_filter?(kong: HeaderFilterKong, ready: Ready): void
  /** Gets each piece of the response's body, the last one with `last`; returns what is sent in its place. */
  body_filter?(kong: BodyFilterKong, ready: Ready, piece: Buffer, last: boolean): Buffer
  log?(kong: LogKong, ready: Ready): void | Promise<void>
  /** Whether clients are to be asked for a certificate in the TLS handshake; none has to be shown. */
  asksForCertificate?(ready: Ready): boolean
  /** What the gateway is to serve for a config. */
  documents?(ready: Ready): readonly ServedDocument[]
}

/** Lets TypeScript infer a plugin's types where it is defined. */
export const definePlugin = <Config, Ready>(plugin: Plugin<Config, Ready>): Plugin<Config, Ready> => plugin
