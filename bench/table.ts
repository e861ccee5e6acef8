import type { Check, Figure, Result } from './result.ts'

const titles: Readonly<Record<string, string>> = {
  requests: 'short requests and answers, one worker on one core',
  bodies: 'bodies',
  tls: 'TLS 1.3 from the client, connections kept',
  http2: 'HTTP/2 from the client, without TLS',
  cores: 'as many workers as cores',
  logs: 'with an access log',
  credentials: 'a token of each of a million credentials',
}

/** Prints a result for people. */
export function printResult(
  { machine, options, subjects, steady, floods, idle }: Result,
  checks: readonly Check[],
): void {
  const { rounds, seconds, connections } = options
  print(
    `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}${machine.pinned ? '' : '; NOT pinned to cores'}`,
  )
  print(`medians of ${rounds} rounds of ${seconds} s (lowest to highest), ${connections} connections`)
  for (const [section, title] of Object.entries(titles)) {
    const own = subjects.filter((subject) => subject.section === section)
    if (own.length === 0) continue
    print(`\n${title}`)
    printTable(
      ['gateway', 'CPU/request', '', 'of nginx', 'requests/s', 'k instr. user', 'kernel'],
      own.map(
        ({
          name,
          variant,
          cpuMicroseconds,
          ratioToNginx,
          requestsPerSecond,
          userKiloinstructions,
          kernelKiloinstructions,
        }) => [
          variant === '' ? name : `${name}, ${variant}`,
          `${cpuMicroseconds.median.toFixed(1)} µs`,
          range(cpuMicroseconds),
          ratioToNginx ? ratioToNginx.median.toFixed(2) : '-',
          whole(requestsPerSecond.median),
          userKiloinstructions ? userKiloinstructions.median.toFixed(1) : '-',
          kernelKiloinstructions ? kernelKiloinstructions.median.toFixed(1) : '-',
        ],
      ),
    )
  }
  if (steady.length > 0) {
    print('\nlatencies at a steady rate, as a part of what each can do at most')
    printTable(
      ['gateway', 'rate', 'sent/s', 'answered/s', 'p50', 'p99', 'p99.9'],
      steady.map(({ name, share, requestsPerSecond, answersPerSecond, p50, p99, p999 }) => [
        name,
        `${Math.round(share * 100)} %`,
        whole(requestsPerSecond.median),
        whole(answersPerSecond.median),
        ...[p50, p99, p999].map(({ median }) => `${median.toFixed(2)} ms`),
      ]),
    )
  }
  if (floods.length > 0) print('\nas many connections again that send only bad tokens, each a new one')
  if (floods.length > 0) {
    printTable(
      ['gateway', 'bad tokens', 'good/s alone', 'good/s', 'refused/s', 'CPU/request', 'memory'],
      floods.map((flood) => [
        flood.name,
        flood.kind,
        whole(flood.goodPerSecondAlone),
        whole(flood.goodPerSecond),
        whole(flood.refusedPerSecond),
        `${flood.cpuMicroseconds.toFixed(1)} µs`,
        `${mebibytes(flood.residentBytesBefore)} -> ${mebibytes(flood.residentBytesAfter)} MiB`,
      ]),
    )
  }
  if (idle.length > 0) {
    print('\nconnections that are kept without requests')
    printTable(
      ['gateway', 'connections', 'memory each'],
      idle.map(({ protocol, connections, bytesEach }) => [
        `gibbon, ${protocol}`,
        whole(connections),
        kibibytes(bytesEach),
      ]),
    )
  }
  print('')
  for (const { what, value, atMost, met } of checks) {
    print(
      `${value === null ? 'not run' : met ? 'met    ' : 'MISSED '} ${what}: ${value?.toFixed(2) ?? '-'} (wanted: at most ${atMost})`,
    )
  }
}

const print = (line: string) => process.stdout.write(`${line}\n`)
const whole = (number: number) => Math.round(number).toLocaleString('en')
const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20)
const range = ({ rounds }: Figure) => `(${Math.min(...rounds).toFixed(1)} to ${Math.max(...rounds).toFixed(1)})`

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  for (const row of [head, ...rows]) {
    print(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
  }
}
