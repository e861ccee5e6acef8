/** A gRPC server and clients of it for tests, by gRPC's own implementation; messages are plain bytes. */
import assert from 'node:assert/strict'
import grpc from '@grpc/grpc-js'

const bytes = {
  requestSerialize: (message: Buffer) => message,
  requestDeserialize: (message: Buffer) => message,
  responseSerialize: (message: Buffer) => message,
  responseDeserialize: (message: Buffer) => message,
}
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  ...bytes,
})

const definition = {
  unary: method('Unary', false, false),
  many: method('Many', false, true),
  gather: method('Gather', true, false),
  talk: method('Talk', true, true),
  fail: method('Fail', false, false),
  never: method('Never', false, false),
}

export interface EchoServer {
  readonly port: number
  readonly server: grpc.Server
  /** What the last call brought with it. */
  readonly metadata: () => Record<string, unknown>
  /** Calls that were given up by their clients. */
  readonly cancelled: () => number
}

/** Starts a server that echoes; with TLS where a certificate is given. */
export async function startEchoServer(secure?: { readonly cert: string; readonly key: string }): Promise<EchoServer> {
  let metadata: Record<string, unknown> = {}
  let cancelled = 0
  const server = new grpc.Server()
  const note = (call: { metadata: grpc.Metadata; sendMetadata(metadata: grpc.Metadata): void }) => {
    metadata = call.metadata.getMap()
    const head = new grpc.Metadata()
    head.set('x-head', 'early')
    call.sendMetadata(head)
  }
  const trailers = () => {
    const metadata = new grpc.Metadata()
    metadata.set('x-trailer', 'late')
    return metadata
  }
  server.addService(definition, {
    unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      note(call)
      done(null, call.request, trailers())
    },
    many(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      note(call)
      let left = Number(call.request.toString())
      const write = (): void => {
        while (left-- > 0) if (!call.write(Buffer.alloc(1000, 'x'))) return void call.once('drain', write)
        call.end(trailers())
      }
      write()
    },
    gather(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      note(call)
      let length = 0
      call.on('data', (piece: Buffer) => (length += piece.length))
      call.on('end', () => done(null, Buffer.from(String(length)), trailers()))
    },
    talk(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      note(call)
      call.on('data', (piece: Buffer) => call.write(piece))
      call.on('end', () => call.end(trailers()))
    },
    fail(_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      done({ code: grpc.status.FAILED_PRECONDITION, details: 'not 100 % – yet', metadata: trailers() })
    },
    never(call: grpc.ServerUnaryCall<Buffer, Buffer>) {
      call.on('cancelled', () => cancelled++)
    },
  })
  const credentials = secure
    ? grpc.ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(secure.cert), private_key: Buffer.from(secure.key) },
      ])
    : grpc.ServerCredentials.createInsecure()
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
  )
  return { port, server, metadata: () => metadata, cancelled: () => cancelled }
}

const Client = grpc.makeGenericClientConstructor(definition, 'Echo')
type Calls = Record<string, (...args: unknown[]) => unknown>

/** What became of a call. */
export interface Outcome {
  readonly message: Buffer | undefined
  readonly code: grpc.status
  readonly details: string
  readonly head: Record<string, unknown>
  readonly trailers: Record<string, unknown>
}

export interface EchoClient {
  /** Calls a method that takes and gives one message. */
  call(
    method: 'unary' | 'fail' | 'never',
    message: string,
    metadata?: Record<string, string>,
    deadlineMs?: number,
  ): Promise<Outcome>
  /** The messages of a stream from the server. */
  many(count: number): AsyncIterable<Buffer>
  gather(pieces: readonly Buffer[]): Promise<string>
  talk(): grpc.ClientDuplexStream<Buffer, Buffer>
  close(): void
}

/** A client of a server, or of a gateway before it; over TLS where the authority's certificate is given. */
export function echoClient(port: number, authority?: string): EchoClient {
  const credentials = authority ? grpc.credentials.createSsl(Buffer.from(authority)) : grpc.credentials.createInsecure()
  const client = new Client(`127.0.0.1:${port}`, credentials, {
    ...(authority && { 'grpc.ssl_target_name_override': 'localhost' }),
    'grpc.use_local_subchannel_pool': 1,
  })
  const calls = client as unknown as Calls
  return {
    call: (method, message, given = {}, deadlineMs = 120_000) =>
      new Promise((resolve) => {
        const metadata = new grpc.Metadata()
        for (const [name, value] of Object.entries(given)) metadata.set(name, value)
        let head: Record<string, unknown> = {}
        let answer: Buffer | undefined
        const call = calls[method]?.(
          Buffer.from(message),
          metadata,
          { deadline: Date.now() + deadlineMs },
          (_error: unknown, message?: Buffer) => (answer = message),
        ) as grpc.ClientUnaryCall
        call.on('metadata', (metadata) => (head = metadata.getMap()))
        call.on('status', ({ code, details, metadata }) =>
          setImmediate(() => resolve({ message: answer, code, details, head, trailers: metadata.getMap() })),
        )
      }),
    many: (count) => calls['many']?.(Buffer.from(String(count))) as AsyncIterable<Buffer>,
    gather: (pieces) =>
      new Promise((resolve, reject) => {
        const call = calls['gather']?.((error: Error | null, message?: Buffer) =>
          error ? reject(error) : resolve(String(message)),
        ) as grpc.ClientWritableStream<Buffer>
        for (const piece of pieces) call.write(piece)
        call.end()
      }),
    talk: () => {
      const call = calls['talk']?.() as grpc.ClientDuplexStream<Buffer, Buffer> | undefined
      assert.ok(call)
      return call
    },
    close: () => client.close(),
  }
}
