/** Headers that a client writes with `_` for `-`, where the gateway's own are to stand: many applications read both as one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneService, startDataPlane } from './data-plane.ts'
import { client, startUpstream } from './sockets.ts'

test('what a plugin drops however it is written does not reach the upstream in any spelling', async (t) => {
  const upstream = await startUpstream()
  upstream.serve = (socket) =>
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
    })
  const plane = await startDataPlane({
    config: oneService(upstream.port),
    plugins: [
      {
        access: ({ service: { request } }) => {
          request.clear_alike('X-Tenant-Id')
          request.set_header('X-Tenant-Id', 'acme')
          request.clear_alike('X_Own')
        },
      },
    ],
  })
  t.after(() => {
    plane.close()
    upstream.close()
  })
  const asking = client(plane.port)
  t.after(() => asking.socket.destroy())
  const names = ['X-Tenant-Id', 'x_tenant_id', 'X-Tenant_ID', 'X_Tenant-Id', 'X-Own', 'x_own']
  const others = ['X-Tenant-I', 'XX-Tenant-Id', 'X.Tenant.Id']
  const lines = [...names, ...others].map((name) => `${name}: spoof-${name}\r\n`).join('')
  asking.send(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)
  await asking.until(/X-Tenant-Id: acme/)
  for (const name of names) assert.ok(!asking.text().includes(`spoof-${name}\r`), name)
  for (const name of others) assert.ok(asking.text().includes(`${name}: spoof-${name}`), name)
})
