/**
 * Times in headers, in the three forms that RFC 9110 5.6.7 names, read as nginx reads them, and so Kong: whatever the day of the week
 * is called, and whatever stands behind the time, such as the `+0000` or `-0000` of mail, it is GMT.
 */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const forms: readonly RegExp[] = [
  /^[^ ,]*, *(?<day>\d{2}) (?<month>\w{3}) (?<year>\d{4}) (?<clock>\d{2}:\d{2}:\d{2})/,
  /^[^ ,]*, *(?<day>\d{2})-(?<month>\w{3})-(?<year>\d{2}) (?<clock>\d{2}:\d{2}:\d{2})/,
  /^[^ ,]* +(?<month>\w{3}) (?<day>[ \d]?\d) (?<clock>\d{2}:\d{2}:\d{2}) (?<year>\d{4})/,
]

/** A header's time in seconds since 1970; undefined where it is none. */
export function parseHttpTime(text: string): number | undefined {
  for (const form of forms) {
    const parts = form.exec(text)?.groups
    if (parts) return secondsOf(parts)
  }
  return undefined
}

function secondsOf({ day, month, year, clock }: Readonly<Record<string, string>>): number | undefined {
  const monthIndex = months.indexOf(month ?? '')
  const [hours = NaN, minutes = NaN, seconds = NaN] = (clock ?? '').split(':').map(Number)
  const exists = monthIndex >= 0 && hours < 24 && minutes < 60 && seconds < 60
  // nginx takes two digits from 70 on for the last century, and so does Kong.
  const full = Number(year) + (year?.length === 2 ? (Number(year) < 70 ? 2000 : 1900) : 0)
  const time = new Date(Date.UTC(full, monthIndex, Number(day), hours, minutes, seconds))
  return exists && time.getUTCDate() === Number(day) ? time.getTime() / 1000 : undefined
}
