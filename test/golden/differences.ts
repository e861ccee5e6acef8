/** Recorded answers from which the gateway differs on purpose, with the reason; told to users in docs/differences.md. */

const charset = "an upstream's Content-Type is passed on as it is; Kong appends a charset to text/plain"
const interim = 'after an interim response the final one is still the gateway’s; Kong passes both on as raw bytes'

const listed: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^http-plain\/reply (200|201|202|304|400|403|418|429|500|502|503|own server, via, kong headers|refresh|chunked unbuffered|gzip bytes untouched|range passes|header 3000 bytes|large)$/,
    charset,
  ],
  [/^http-plain\/partial body is not retried$|^http\/upstream-partial$/, charset],
  [/^http-plain\/reply interim (100|103)$/, interim],
  [/^http-plain\/chunk lf only$/, 'a line of a chunked body ends in CRLF; a bare LF is 400'],
  [/^http\/invalid-http09$/, 'HTTP/0.9 is 400'],
  [/^plugins-request-termination\/(echo POST|trigger and echo)$/, 'what is echoed does not tell the node and its process'],
  [/^jwt\/spoofed-headers$/, 'X-Consumer-Groups of a client is dropped when an authentication plugin ran'],
]

/** Why the answer to a recorded case (`area/name`) differs; undefined where it must not. */
export const differences = (name: string): string | undefined => listed.find(([pattern]) => pattern.test(name))?.[1]
