/** Moments as people type and read them beside tokens. */

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Seconds since 1970 of `+1h`, `-30s`, `1700000000` or `2030-01-01T00:00:00Z`; undefined for anything else. */
export function momentOf(text: string, now: number): number | undefined {
  const [, sign, amount, unit = ''] = /^([+-])(\d{1,12})([smhdw]?)$/.exec(text) ?? []
  if (amount !== undefined) return now + (sign === '-' ? -1 : 1) * Number(amount) * unitSeconds[unit]!
  if (/^\d{1,15}$/.test(text)) return Number(text)
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return undefined
  const milliseconds = Date.parse(text)
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000)
}

/** What momentOf understands, for messages. */
export const momentForms = '+1h, -30s, seconds since 1970, or a date such as 2030-01-01T00:00:00Z'
