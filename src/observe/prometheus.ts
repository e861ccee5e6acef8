/** Metrics as text. Source: prometheus.io, "Exposition formats", text format 0.0.4. */

/** Figures of one name. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

/** A metric with one figure. */
export const single = (type: Metric['type'], name: string, help: string, value: number): Metric => ({
  name,
  help,
  type,
  samples: [{ value }],
})

/** The media type of what `prometheusText` makes; without a version, as Kong writes it, it means the same. */
export const prometheusType = 'text/plain; charset=UTF-8'

export const prometheusText = (metrics: readonly Metric[]): string => metrics.map(block).join('')

function block({ name, help, type, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}\n`)
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function labelText(labels: Sample['labels'] = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
