import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { healthMemory, HealthTable } from './table.ts'

const tableOf = (capacity = 16) => new HealthTable(healthMemory(capacity))

test('a target is up until so many failures of one kind have been counted', () => {
  const table = tableOf()
  const place = table.placeOf('a')
  table.count(place, 'tcp failure', 3)
  table.count(place, 'timeout', 3)
  table.count(place, 'tcp failure', 3)
  assert.equal(table.isDown(place), false)
  table.count(place, 'tcp failure', 3)
  assert.equal(table.isDown(place), true)
})

test('a success makes failures forgotten, and so many of them bring a target back', () => {
  const table = tableOf()
  const place = table.placeOf('a')
  table.count(place, 'http failure', 2)
  table.count(place, 'success', 2)
  table.count(place, 'http failure', 2)
  assert.equal(table.isDown(place), false)
  table.count(place, 'http failure', 2)
  assert.equal(table.isDown(place), true)
  table.count(place, 'success', 2)
  table.count(place, 'http failure', 2)
  table.count(place, 'success', 2)
  assert.equal(table.isDown(place), true)
  table.count(place, 'success', 2)
  assert.equal(table.isDown(place), false)
})

test('a limit of 0 switches a kind of event off: without successes, failures add up however much goes well', () => {
  const table = tableOf()
  const place = table.placeOf('a')
  for (let at = 0; at < 300; at++) table.count(place, 'timeout', 0)
  assert.equal(table.isDown(place), false)
  table.count(place, 'timeout', 2)
  table.count(place, 'success', 0)
  table.count(place, 'timeout', 2)
  assert.equal(table.isDown(place), true)
})

test('counters reach 255 without spilling into one another', () => {
  const table = tableOf()
  const place = table.placeOf('a')
  for (let at = 0; at < 254; at++) table.count(place, 'http failure', 255)
  table.count(place, 'timeout', 2)
  assert.equal(table.isDown(place), false)
  table.count(place, 'http failure', 255)
  assert.equal(table.isDown(place), true)
})

test('a turn is seen by who looks at their number, and setting what is so already is none', () => {
  const table = tableOf()
  const place = table.placeOf('a')
  const before = table.turns
  table.set(place, true)
  assert.equal(table.turns, before)
  table.set(place, false)
  assert.notEqual(table.turns, before)
  assert.equal(table.isDown(place), true)
})

test('names have places of their own, the same for everyone, until all places are taken', () => {
  const table = tableOf(4)
  const places = ['a', 'b', 'c', 'd'].map((name) => table.placeOf(name))
  assert.equal(new Set(places).size, 4)
  const other = new HealthTable(table.memory)
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => other.placeOf(name)),
    places,
  )
  assert.equal(other.size, 4)
  assert.equal(table.placeOf('e'), -1)
  table.count(-1, 'timeout', 1)
  assert.equal(table.isDown(-1), false)
})

test('a larger table takes the state over', () => {
  const small = tableOf(2)
  small.set(small.placeOf('down'), false)
  small.count(small.placeOf('up'), 'timeout', 2)
  const large = tableOf(8)
  for (const name of ['down', 'up']) large.copy(name, small)
  assert.equal(large.isDown(large.placeOf('down')), true)
  large.count(large.placeOf('up'), 'timeout', 2)
  assert.equal(large.isDown(large.placeOf('up')), true)
})

test('threads that count at the same time lose nothing and take one place for one name', async () => {
  const table = tableOf(64)
  const script = `
    const { workerData } = require('node:worker_threads')
    import(workerData.module).then(({ HealthTable }) => {
      const table = new HealthTable(workerData.memory)
      for (let at = 0; at < 40; at++) {
        const place = table.placeOf('target ' + at)
        for (let count = 0; count < 60; count++) table.count(place, 'timeout', 240)
      }
    })`
  const workerData = { module: new URL('table.ts', import.meta.url).href, memory: table.memory }
  const threads = Array.from({ length: 4 }, () => new Worker(script, { eval: true, workerData }))
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.on('exit', resolve))))
  assert.equal(table.size, 40)
  for (let at = 0; at < 40; at++) assert.equal(table.isDown(table.placeOf(`target ${at}`)), true)
})
