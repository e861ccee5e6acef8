/** Long bodies pass through buffers that are read into, written from and used again: no byte may be another's. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { oneService, startDataPlane, type DataPlane } from './data-plane.ts'
import { pause } from './sockets.ts'

const mega = 1024 ** 2

/** Bytes that are another at every place, and in every body. */
function content(seed: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(Math.imul(at + seed * 7919, 2_654_435_761) >>> 0, at)
  return bytes
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function gathered(stream: AsyncIterable<Buffer>, restMs: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) {
    pieces.push(piece)
    if (restMs > 0 && pieces.length % 16 === 0) await pause(restMs)
  }
  return Buffer.concat(pieces)
}

suite('long bodies of many at once', () => {
  let upstream: http.Server
  let plane: DataPlane

  before(async () => {
    // Answers with content made for the path, or with the hash of what it was sent.
    upstream = http.createServer((request, response) => {
      void gathered(request, 0).then((sent) => {
        const [, seed = '', size = '', framing] = request.url!.split('/')
        const body = request.method === 'POST' ? Buffer.from(hashOf(sent)) : content(Number(seed), Number(size))
        if (framing !== 'chunked') response.setHeader('Content-Length', body.length)
        for (let at = 0; at < body.length; at += 300_000) response.write(body.subarray(at, at + 300_000))
        response.end()
      })
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    plane = await startDataPlane({ config: oneService((upstream.address() as AddressInfo).port) })
  })
  after(() => {
    plane.close()
    upstream.close()
    upstream.closeAllConnections()
  })

  function ask(path: string, body: Buffer | undefined, restMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { port: plane.port, host: '127.0.0.1', path, method: body ? 'POST' : 'GET', agent: false }
      const request = http.request(options, (response) => {
        gathered(response, restMs).then(resolve, reject)
      })
      request.on('error', reject).end(body)
    })
  }

  for (const framing of ['length', 'chunked']) {
    test(`come down as they were sent, by ${framing}, to quick clients and to slow ones`, async () => {
      await Promise.all(
        Array.from({ length: 12 }, async (_, seed) => {
          const size = 3 * mega + seed * 4096
          const got = await ask(`/${seed}/${size}/${framing}`, undefined, seed % 3 === 0 ? 3 : 0)
          assert.equal(got.length, size)
          assert.equal(hashOf(got), hashOf(content(seed, size)))
        }),
      )
    })
  }

  test('go up as they were sent', async () => {
    await Promise.all(
      Array.from({ length: 12 }, async (_, seed) => {
        const body = content(seed + 100, 3 * mega + seed * 4096)
        assert.equal((await ask('/', body, 0)).toString(), hashOf(body))
      }),
    )
  })

  test('do not disturb short ones beside them', async () => {
    const over = new AbortController()
    const long = Promise.all(
      Array.from({ length: 4 }, async (_, seed) => {
        const got = await ask(`/${seed}/${8 * mega}/length`, undefined, 1)
        assert.equal(hashOf(got), hashOf(content(seed, 8 * mega)))
      }),
    ).then(() => over.abort())
    for (let seed = 1000; !over.signal.aborted; seed++) {
      assert.deepEqual(await ask(`/${seed}/2000/length`, undefined, 0), content(seed, 2000))
    }
    await long
  })
})
