/** The service behind every gateway, in a process of its own: as cheap as possible, so that it is never what is measured. */
import { type AddressInfo, createServer } from 'node:net'
import { upstreamAnswer } from './messages.ts'

// Requests have no body and are not pipelined, so one has come when its last line is empty.
const endOfHead = Buffer.from('\r\n\r\n')

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (piece: Buffer) => {
    if (piece.subarray(-endOfHead.length).equals(endOfHead)) socket.write(upstreamAnswer, 'latin1')
  })
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit())
