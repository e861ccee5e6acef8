/** A process that takes the place of another one, and may be replaced in turn. The keeper that started it tells it when. */
import { openChannel } from './channel.ts'
import type { Legacy } from './handover.ts'
import { createKeeper, type Life, type Replaced } from './keeper.ts'
import type { Gateway, Predecessor } from './main.ts'
import type { Use } from './plugins/jwt/proof-memory.ts'
import { handleToSend, type Inheritance } from './sockets.ts'
import type { Operation } from './store/store.ts'

export interface Successor extends Life {
  readonly predecessor: Predecessor
  /** Says that the gateway serves: from then on the one before takes no more connections. */
  serve(gateway: Gateway): Promise<void>
  /** Says why it cannot start. */
  fail(reason: string): Promise<void>
}

/** How long the keeper is waited for where it is told why this process ends. */
const tellingMs = 1000

export function joinKeeper(inheritance: Inheritance): Successor {
  const over = Promise.withResolvers<number>()
  const enthroned = Promise.withResolvers<void>()
  const started = Promise.withResolvers<Gateway>()
  /** Others serve their last connections, and are to know of each commit. */
  let isFollowed = false
  let isRetired = false
  let isStopping = false
  let hasLeft = false
  /** Where the keeper has gone, this process keeps its successors itself. */
  let alone: Life | undefined

  const channel = openChannel(process, {
    sockets: async () => {
      const { handover } = await started.promise
      for (const socket of handover.sockets())
        channel.sendHandle({ key: socket.key, port: socket.port }, handleToSend(socket))
    },
    give: async () => (await started.promise).handover.give(),
    takeBack: async () => (await started.promise).handover.takeBack(),
    retire: async () => {
      const { handover } = await started.promise
      isRetired = true
      const { closed, gone } = handover.retire((operations) => channel.call('write', operations) as never)
      void gone.then(() => stop()).then(over.resolve)
      await closed
    },
    look: async () => (await started.promise).handover.look(),
    write: async (operations: readonly Operation[]) => (await started.promise).handover.write(operations),
    follow: (is: boolean) => void (isFollowed = is),
    enthrone: () => enthroned.resolve(),
  })

  const goOnAlone = async (): Promise<void> => {
    if (hasLeft) return
    // A second signal to the keeper does not wait, and so nobody does.
    if (isStopping) process.exit(1)
    isFollowed = false
    enthroned.resolve()
    const gateway = await started.promise
    if (isRetired) return over.resolve(await stop())
    alone = createKeeper(gateway)
    over.resolve(await alone.over)
  }
  process.on('disconnect', () => void goOnAlone())

  async function stop(): Promise<number> {
    if (alone) return alone.stop()
    isStopping = true
    await (await started.promise).stop()
    leave()
    return 0
  }

  /** Without the channel nothing keeps the process. */
  const leave = (): void => {
    hasLeft = true
    if (process.connected) process.disconnect?.()
  }

  return {
    predecessor: {
      inheritance,
      give: () => channel.call('give') as Promise<Legacy>,
      useProof: (key, until) => channel.call('useProof', { key, until }) as Promise<Use>,
      retired: enthroned.promise,
    },
    async serve(gateway) {
      started.resolve(gateway)
      gateway.handover.onCommit(async () => {
        if (isFollowed) await channel.call('committed').catch(() => {})
      })
      await channel.call('serving')
    },
    async fail(reason) {
      isStopping = true
      const late = new Promise((resolve) => setTimeout(resolve, tellingMs).unref())
      await Promise.race([channel.call('failed', reason).catch(() => {}), late])
      leave()
    },
    replace: () => (alone ? alone.replace() : (channel.call('replace') as Promise<Replaced>)),
    passOn: (signal) => alone?.passOn(signal) ?? false,
    stop,
    over: over.promise,
  }
}
