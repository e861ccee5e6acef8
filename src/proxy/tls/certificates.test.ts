import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sniNames } from './certificates.ts'

test('the exact name comes before wildcards, the left one before the right one, and the default last', () => {
  assert.deepEqual(sniNames('www.Example.com'), ['www.example.com', '*.example.com', 'www.example.*', '*'])
  assert.deepEqual(sniNames('a.b.example.com'), ['a.b.example.com', '*.b.example.com', 'a.b.example.*', '*'])
})

test('a wildcard stands for no whole domain', () => {
  assert.deepEqual(sniNames('example.com'), ['example.com', 'example.*', '*'])
  assert.deepEqual(sniNames('localhost'), ['localhost', '*'])
})
