/** A way to a gateway on which what a client says at first is held up, as in the middle of a TLS handshake. */
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { pause, request, until } from './sockets.ts'

export interface HeldWay {
  readonly port: number
  /** Resolves when a client has come, what it may say has been passed on, and an answer to that has had time to come. */
  readonly held: () => Promise<void>
  /** Passes on all that was held up, and all that follows. */
  readonly release: () => void
  readonly close: () => void
}

/** Holds each connection up behind a share, from 0 to 1, of its first TLS record, which is the ClientHello. */
async function heldWay(port: number, share: number): Promise<HeldWay> {
  const sockets = new Set<net.Socket>()
  const waiting: (() => void)[] = []
  let hasCome = false
  let isHeld = true
  const server = net.createServer((client) => {
    const gateway = net.connect({ port, host: '127.0.0.1' })
    for (const socket of [client, gateway]) sockets.add(socket.on('error', () => {}))
    gateway.pipe(client)
    client.once('data', (first: Buffer) => {
      const cut = isHeld ? Math.floor((5 + first.readUInt16BE(3)) * share) : first.length
      client.pause()
      gateway.write(first.subarray(0, cut))
      hasCome = true
      const goOn = (): void => {
        gateway.write(first.subarray(cut))
        client.pipe(gateway)
      }
      if (isHeld) waiting.push(goOn)
      else goOn()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    async held() {
      await until(
        () => hasCome,
        () => 'a client',
      )
      await pause(100)
    },
    release() {
      isHeld = false
      for (const goOn of waiting.splice(0)) goOn()
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

export interface HeldClient extends HeldWay {
  /** What becomes of its request, which it sends when its handshake is finished: all that it is told. */
  readonly answer: Promise<string>
}

type Ask = (port: number) => Promise<string>

/** By the protocol that a client speaks in TLS: asks for `/late`, and resolves when the gateway has ended the connection. */
const clients: Readonly<Record<string, Ask>> = {
  'HTTP/1.1': (port) =>
    new Promise((resolve, reject) => {
      let text = ''
      const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
      socket.once('secureConnect', () => socket.write(request('/late')))
      socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
      socket.on('error', reject).on('close', () => resolve(text))
    }),
  'HTTP/2': async (port) => {
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    const goAway = once(session, 'goaway')
    const closed = once(session, 'close')
    const stream = session.request({ ':path': '/late' })
    const [headers] = (await once(stream, 'response')) as [{ ':status': number }]
    let text = `${headers[':status']} `
    stream.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await Promise.all([once(stream, 'end'), goAway, closed])
    return text
  },
}

/** A client of each protocol, in each stage of a handshake. */
export async function heldClients(port: number): Promise<ReadonlyMap<string, HeldClient>> {
  const all = new Map<string, HeldClient>()
  for (const [protocol, ask] of Object.entries(clients)) {
    for (const [stage, share] of Object.entries({
      'before its hello': 0,
      'within its hello': 0.5,
      'behind its hello': 1,
    })) {
      const way = await heldWay(port, share)
      all.set(`${protocol}, ${stage}`, { ...way, answer: ask(way.port) })
    }
  }
  return all
}
