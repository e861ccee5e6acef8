import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prometheusText, single } from './prometheus.ts'

test('a metric is its help, its type and a line for each figure', () => {
  const metric = {
    name: 'requests_total',
    help: 'Requests.',
    type: 'counter',
    samples: [
      { labels: { status: '2xx', host: 'a' }, value: 5 },
      { labels: { status: '5xx', host: 'a' }, value: 0 },
    ],
  } as const
  assert.equal(
    prometheusText([metric, single('gauge', 'active', 'Now.', 1.5)]),
    '# HELP requests_total Requests.\n# TYPE requests_total counter\n' +
      'requests_total{status="2xx",host="a"} 5\nrequests_total{status="5xx",host="a"} 0\n' +
      '# HELP active Now.\n# TYPE active gauge\nactive 1.5\n',
  )
})

test('a label may hold any text and stays on its line', () => {
  const metric = { name: 'a', help: 'x\ny', type: 'gauge', samples: [{ labels: { l: 'q"\\\n' }, value: 1 }] } as const
  assert.equal(prometheusText([metric]), '# HELP a x\\ny\n# TYPE a gauge\na{l="q\\"\\\\\\n"} 1\n')
})
