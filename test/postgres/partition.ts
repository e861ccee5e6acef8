/** For tests: a TCP proxy that can be cut, after which nothing passes and nobody is told, as when a network fails. */
import { once } from 'node:events'
import net from 'node:net'

export interface Partition {
  readonly port: number
  /** Nothing passes any more; new connections are taken and get no answer. */
  cut(): void
  /** All passes again, what was held up included. */
  heal(): void
  /** Ends every connection that there is. */
  sever(): void
  close(): Promise<void>
}

/** Listens on a free port and passes everything on to another one of this machine. */
export async function partitionOf(port: number): Promise<Partition> {
  const sockets = new Set<net.Socket>()
  let isCut = false
  const adopt = (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    if (isCut) socket.pause()
  }
  const pass = (from: net.Socket, to: net.Socket) => {
    from.on('data', (bytes: Buffer) => void to.write(bytes))
    from.on('close', () => to.destroy())
  }
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1')
    pass(client, upstream)
    pass(upstream, client)
    adopt(client)
    adopt(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sever = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as net.AddressInfo).port,
    cut() {
      isCut = true
      for (const socket of sockets) socket.pause()
    },
    heal() {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    sever,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      sever()
      return closed
    },
  }
}
