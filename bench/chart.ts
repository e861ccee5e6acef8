/** The chart of a result: bars of what a request costs each gateway, as a multiple of nginx. */
import type { Result } from './result.ts'

const [width, labelWidth, barHeight, gap, top] = [720, 190, 18, 8, 44]
const right = 70

export function chart({ subjects, machine }: Pick<Result, 'subjects' | 'machine'>): string {
  const bars = subjects.flatMap(({ section, name, ratioToNginx }) =>
    section === 'requests' && ratioToNginx ? [{ name, ratio: ratioToNginx.median }] : [],
  )
  const most = Math.max(1, ...bars.map(({ ratio }) => ratio))
  const scale = (width - labelWidth - right) / most
  const height = top + bars.length * (barHeight + gap) + gap
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="12" y="26" font-size="15" fill="#222222">CPU per request, as a multiple of nginx without a check (${escaped(machine.cpu)})</text>
${bars.map(({ name, ratio }, at) => bar(name, ratio, top + at * (barHeight + gap), ratio * scale)).join('\n')}
</svg>
`
}

function bar(name: string, ratio: number, y: number, length: number): string {
  const colour = name.startsWith('gibbon') ? '#2f6f4f' : '#a3a9b1'
  const base = y + barHeight - 5
  return (
    `<text x="${labelWidth - 8}" y="${base}" text-anchor="end" fill="#222222">${escaped(name)}</text>` +
    `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="${colour}"/>` +
    `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${base}" fill="#222222">${ratio.toFixed(2)}</text>`
  )
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
