let second = 0
let text = ''

/** The time as `Date` wants it (RFC 9110 5.6.7), made once a second. `ms` is since 1970. */
export function httpDate(ms: number): string {
  const now = Math.floor(ms / 1000)
  if (now !== second) {
    second = now
    text = new Date(now * 1000).toUTCString()
  }
  return text
}
