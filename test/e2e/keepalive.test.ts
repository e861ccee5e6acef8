/** `so_keepalive` of listeners: whether TCP asks if a client is still there, as the system itself tells of each connection. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { test } from 'node:test'
import { pause } from './sockets.ts'
import { startProcess } from './started.ts'

/** What the system calls the timer of a connection that is asked about. */
const keepalive = 2

/** The timer of the accepted end of a connection to a port: its kind (2 for keepalive) and what is left of it, in seconds. */
function timerOf(port: number): { kind: number; seconds: number } | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const fields = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    // Established, with an end of its own.
    .find(([, address, remote, state]) => address === local && remote !== '00000000:0000' && state === '01')
  const [kind = '', ticks = ''] = fields?.[5]?.split(':') ?? []
  return fields && { kind: Number.parseInt(kind, 16), seconds: Number.parseInt(ticks, 16) / 100 }
}

test('each listener asks as its flag says, and no other does', { skip: process.platform !== 'linux' }, async (t) => {
  const gateway = await startProcess({
    proxy_listen:
      '127.0.0.1:0 so_keepalive=40s:5s:3, 127.0.0.1:0 ssl so_keepalive=40s::, 127.0.0.1:0, 127.0.0.1:0 so_keepalive=off',
    stream_listen: '127.0.0.1:0 proxy_protocol so_keepalive=40s::3, 127.0.0.1:0 ssl proxy_protocol so_keepalive=40s::',
    admin_listen: '127.0.0.1:0 so_keepalive=40s::',
    status_listen: '127.0.0.1:0 so_keepalive=on',
  })
  t.after(() => gateway.stop())
  const open = async (url: string | undefined): Promise<{ socket: net.Socket; port: number }> => {
    const port = Number(new URL(String(url)).port)
    const socket = net.connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return { socket, port }
  }
  for (const url of [...gateway.proxy.slice(0, 2), ...gateway.stream, ...gateway.admin, ...gateway.status]) {
    const { port } = await open(url)
    // The connection is taken by another thread.
    for (let left = 50; left > 0 && timerOf(port)?.kind !== keepalive; left--) await pause(20)
    const timer = timerOf(port)
    assert.equal(timer?.kind, keepalive, url)
    if (url !== gateway.status[0]) assert.ok(timer.seconds <= 40, `${url}: ${timer.seconds} s`)
  }
  for (const url of gateway.proxy.slice(2)) {
    const { socket, port } = await open(url)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(socket, 'data')
    assert.notEqual(timerOf(port)?.kind, keepalive, url)
  }
})
