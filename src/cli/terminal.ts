import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** The text in a colour or weight where it goes to a terminal, else as it is. */
export function styled(style: Style, text: string, isTerminal: boolean): string {
  return isTerminal ? styleText(style, text, { validateStream: false }) : text
}

/** The text in bold on a terminal. */
export const bold = (text: string, isTerminal: boolean): string => styled('bold', text, isTerminal)

/** Rows as lines with aligned columns, two spaces between. Widths are of what is seen, not of colour codes. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, seen(cell))))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => cell + ' '.repeat(widths[index]! - seen(cell)))
      .join('  ')
      .trimEnd()
  return rows.map((row) => `${line(row)}\n`).join('')
}

// eslint-disable-next-line no-control-regex
const colourCode = /\x1b\[\d+m/g
const seen = (text: string): number => text.replace(colourCode, '').length
