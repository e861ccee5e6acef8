/**
 * Writes a result of `npm run bench -- --json FILE` into docs/performance.md, between its two marks, and draws its chart beside it.
 *
 *     node bench/report.ts FILE
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { chart } from './chart.ts'
import type { Result, SubjectResult } from './result.ts'

const page = new URL('../docs/performance.md', import.meta.url)
const picture = new URL('../docs/performance.svg', import.meta.url)
const marks = ['<!-- bench: begin -->', '<!-- bench: end -->'] as const

function report({ machine, options, subjects, steady, idle }: Result): string {
  const { rounds, seconds, connections } = options
  const { cpu, cores, node, pinned } = machine
  return [
    `On ${cpu}, ${cores} cores${pinned ? '' : ' (not pinned to them)'}, Node ${node}; medians of ${rounds} rounds of ${seconds} s, ${connections} connections.\n`,
    '![CPU per request of each gateway as a multiple of nginx](performance.svg)\n',
    ...sections.flatMap(([section, title]) => {
      const own = subjects.filter((subject) => subject.section === section)
      return own.length === 0 ? [] : [`${title}\n`, costs(own)]
    }),
    ...(steady.length === 0 ? [] : [`Latencies at a steady rate\n`, latencies(steady)]),
    ...(idle.length === 0 ? [] : [`Connections that are kept without requests\n`, memory(idle)]),
  ].join('\n')
}

const sections = [
  ['requests', 'Short requests and answers, one worker on one core'],
  ['bodies', 'Bodies'],
  ['tls', 'TLS 1.3 from the client, connections kept'],
  ['http2', 'HTTP/2 from the client, without TLS'],
  ['cores', 'As many workers as cores'],
  ['logs', 'With an access log'],
  ['credentials', 'A token of each of a million credentials'],
] as const

const costs = (subjects: readonly SubjectResult[]): string =>
  table(
    ['gateway', 'CPU/request', 'of nginx', 'requests/s', 'k instructions, user', 'kernel'],
    subjects.map((subject) => [
      subject.variant === '' ? subject.name : `${subject.name}, ${subject.variant}`,
      `${subject.cpuMicroseconds.median.toFixed(1)} µs`,
      subject.ratioToNginx?.median.toFixed(2) ?? '-',
      Math.round(subject.requestsPerSecond.median).toLocaleString('en'),
      subject.userKiloinstructions?.median.toFixed(1) ?? '-',
      subject.kernelKiloinstructions?.median.toFixed(1) ?? '-',
    ]),
  )

const memory = (idle: Result['idle']): string =>
  table(
    ['gateway', 'connections', 'memory each'],
    idle.map(({ protocol, connections, bytesEach }) => [
      `gibbon, ${protocol}`,
      connections.toLocaleString('en'),
      `${(bytesEach / 1024).toFixed(1)} KiB`,
    ]),
  )

const latencies = (steady: Result['steady']): string =>
  table(
    ['gateway', 'of its limit', 'requests/s', 'p50', 'p99', 'p99.9'],
    steady.map(({ name, share, requestsPerSecond, p50, p99, p999 }) => [
      name,
      `${Math.round(share * 100)} %`,
      Math.round(requestsPerSecond.median).toLocaleString('en'),
      ...[p50, p99, p999].map(({ median }) => `${median.toFixed(2)} ms`),
    ]),
  )

/** A table as the formatter has it: columns of one width, numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return `${[line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n')}\n`
}

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('report: name the file with the result: node bench/report.ts FILE\n')
  process.exit(2)
}
const result = JSON.parse(readFileSync(file, 'utf8')) as Result
const text = readFileSync(page, 'utf8')
const [begin, end] = [text.indexOf(marks[0]), text.indexOf(marks[1])]
if (begin < 0 || end < begin) throw new Error(`docs/performance.md has no ${marks.join(' and ')}`)
writeFileSync(page, `${text.slice(0, begin)}${marks[0]}\n\n${report(result)}\n${text.slice(end)}`)
writeFileSync(picture, chart(result))
