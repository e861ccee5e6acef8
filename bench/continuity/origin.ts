/** Upstreams that say in each answer which of them they are, and how the request came to them. */
import { once } from 'node:events'
import net from 'node:net'
import { agreement, echoFrames } from './chat.ts'

export interface Origin {
  readonly port: number
  close(): void
}

/** An answer's body: the upstream's own name, the path and the consumer that it was given. */
export interface Seen {
  readonly name: string
  readonly path: string
  readonly consumer: string
}

export const seenOf = (body: string): Seen => {
  const [name = '', path = '', consumer = ''] = body.split('|')
  return { name, path, consumer }
}

export async function startOrigin(name: string): Promise<Origin> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    let text = ''
    const take = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 2)
        text = text.slice(end + 4)
        if (/\r\nupgrade: websocket\r\n/i.test(head)) {
          socket.off('data', take)
          echoFrames(socket)
          return void socket.write(agreement)
        }
        const body = `${name}|${head.split(' ')[1]}|${/\r\nx-consumer-username: (\S+)/i.exec(head)?.[1] ?? ''}`
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      }
    }
    socket
      .on('data', take)
      .on('error', () => {})
      .on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
