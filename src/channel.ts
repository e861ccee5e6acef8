/** Calls between two processes over Node's own channel between parent and child; as JSON, since they may be of two versions. */

/** One end: `process` in a child, a `ChildProcess` in its parent. */
export interface End {
  send?(message: object, handle: unknown, options: undefined, sent: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
  readonly connected?: boolean
}

type Handlers = Readonly<Record<string, (argument: never) => unknown>>

export interface Channel {
  /** Calls the other side; rejects with what it throws, and where it is gone. */
  call(name: string, argument?: unknown): Promise<unknown>
  /** Sends an operating system's handle beside a name, before anything that is sent afterwards. */
  sendHandle(about: object, handle: unknown): void
}

type Message =
  | { readonly call: number; readonly name: string; readonly argument?: unknown }
  | { readonly answer: number; readonly result?: unknown; readonly error?: string }
  | { readonly about: object }

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** Opens this side's end. `onHandle` is told of handles; without it, none is expected. */
export function openChannel(
  end: End,
  handlers: Handlers,
  onHandle: (about: object, handle: unknown) => void = () => {},
): Channel {
  const waiting = new Map<number, Waiting>()
  let calls = 0
  const send = (message: Message, handle?: unknown): void => {
    // What cannot be sent because the other side is just ending is told by 'disconnect'.
    if (end.connected) end.send?.(message, handle, undefined, () => {})
  }
  const answer = async ({ call, name, argument }: Extract<Message, { call: number }>): Promise<void> => {
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
      if (!handler) throw new Error(`process ${process.pid} is of a version that does not know "${name}"`)
      send({ answer: call, result: await handler(argument as never) })
    } catch (error) {
      send({ answer: call, error: error instanceof Error ? error.message : String(error) })
    }
  }
  end.on('message', (received, handle) => {
    const message = received as Message
    if ('about' in message) onHandle(message.about, handle)
    else if ('call' in message) void answer(message)
    else {
      const waiter = waiting.get(message.answer)
      waiting.delete(message.answer)
      if (message.error === undefined) waiter?.resolve(message.result)
      else waiter?.reject(new Error(message.error))
    }
  })
  end.on('disconnect', () => {
    for (const { reject } of waiting.values()) reject(new Error('the other process has gone'))
    waiting.clear()
  })
  return {
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        if (!end.connected) return reject(new Error('the other process has gone'))
        const number = ++calls
        waiting.set(number, { resolve, reject })
        send({ call: number, name, argument })
      }),
    sendHandle: (about, handle) => send({ about }, handle),
  }
}
