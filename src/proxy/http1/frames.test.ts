import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader } from './frames.ts'

interface Frame {
  readonly size: number
  readonly masked: boolean
}

function bytesOf({ size, masked }: Frame): Buffer {
  const mask = masked ? 0x80 : 0
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10)
  head[0] = 0x82
  head[1] = mask | (size < 126 ? size : size < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(size, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2)
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 7), Buffer.alloc(size, 0x88)])
}

const sizes = fc.oneof(fc.nat(130), fc.integer({ min: 126, max: 300 }), fc.constantFrom(0, 125, 126, 65_535, 65_536))
const frames = fc.array(fc.record({ size: sizes, masked: fc.boolean() }), { minLength: 1, maxLength: 5 })

test('the end of every frame is found, however the bytes are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(200_000), { maxLength: 8 }), (list, cuts) => {
      const parts = list.map(bytesOf)
      const all = Buffer.concat(parts)
      const ends = new Set(parts.map((_, at) => Buffer.concat(parts.slice(0, at + 1)).length))
      const places = [0, ...cuts.map((cut) => cut % all.length).toSorted((one, other) => one - other), all.length]
      const reader = new FrameReader()
      for (let at = 1; at < places.length; at++) {
        const [from = 0, to = 0] = [places[at - 1], places[at]]
        reader.read(all.subarray(from, to), to - from)
        assert.equal(reader.atBoundary, to === 0 || ends.has(to))
      }
    }),
  )
})

test('reading until a frame ends stops exactly there', () => {
  fc.assert(
    fc.property(frames, fc.nat(200_000), (list, cut) => {
      const parts = list.map(bytesOf)
      const all = Buffer.concat(parts)
      const from = 1 + (cut % all.length)
      const next = parts.map((_, at) => Buffer.concat(parts.slice(0, at + 1)).length).find((end) => end >= from)
      const reader = new FrameReader()
      reader.read(all, from)
      const rest = all.subarray(from)
      assert.equal(from + reader.untilBoundary(rest, rest.length), next)
      assert.ok(reader.atBoundary)
    }),
  )
})
