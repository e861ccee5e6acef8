/** The service behind every gateway, in a process of its own: as cheap as possible, so that it is never what is measured. */
import { type AddressInfo, createServer } from 'node:net'
import { acceptPlain } from '../src/proxy/http1/socket.ts'
import { upstreamAnswer } from './messages.ts'

const ignore = () => {}

const server = createServer().listen(0, '127.0.0.1', () => {
  acceptPlain(server, (socket) => ({
    onBytes(bytes, length) {
      // Requests have no body and are not pipelined, so one has come when its last line is empty.
      if (length >= 4 && bytes.readUInt32BE(length - 4) === 0x0d0a0d0a) socket.write(upstreamAnswer, 'latin1')
    },
    onEnd: () => socket.destroy(),
    onDrain: ignore,
    onClose: ignore,
  }))
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('disconnect', () => process.exit())
