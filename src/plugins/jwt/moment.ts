/** `1700000000 (2023-11-14T22:13:20Z), 35 s ago`, so that a clock that is wrong shows. */
export function describeMoment(seconds: number, now: number): string {
  const distance = seconds - now
  const relation = distance === 0 ? 'now' : distance < 0 ? `${-distance} s ago` : `in ${distance} s`
  const date = new Date(seconds * 1000)
  const written = Number.isNaN(date.getTime()) ? 'no date' : date.toISOString().replace('.000Z', 'Z')
  return `${seconds} (${written}), ${relation}`
}
