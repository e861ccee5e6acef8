import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHttpTime } from './http-time.ts'

const times: readonly (readonly [text: string, seconds: number | undefined])[] = [
  ['Sun, 06 Nov 1994 08:49:37 GMT', 784_111_777],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 784_111_777],
  ['Sun Nov  6 08:49:37 1994', 784_111_777],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['Thu, 29 Feb 2024 00:00:00 GMT', 1_709_164_800],
  ['Wed, 29 Feb 2023 00:00:00 GMT', undefined],
  ['Sun, 06 Nov 1994 24:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:60:37 GMT', undefined],
  ['Sun, 06 Nox 1994 08:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49:37 -0000', 784_111_777],
  ['Sun, 06 Nov 1994 08:49:37', 784_111_777],
  ['Sunday,06-Nov-94 08:49:37 UTC', 784_111_777],
  ['Sun Nov 6 08:49:37 1994', 784_111_777],
  ['06 Nov 1994 08:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49', undefined],
  ['1994-11-06T08:49:37Z', undefined],
  ['784111777', undefined],
  ['', undefined],
]

for (const [text, seconds] of times) {
  test(`${JSON.stringify(text)} is ${seconds === undefined ? 'no time' : `${seconds} s after 1970`}`, () => {
    assert.equal(parseHttpTime(text), seconds)
  })
}
