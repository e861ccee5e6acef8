/** What a header holds, one byte a character, as the text that these bytes are in UTF-8: so are credentials stored. */
export function utf8Of(headerValue: string): string {
  return /[\u0080-\u00ff]/.test(headerValue) ? Buffer.from(headerValue, 'latin1').toString('utf8') : headerValue
}

/** A quoted string of a challenge (RFC 9110 5.6.4): control characters are dropped, the rest is UTF-8 on the wire. */
export function quoted(text: string): string {
  const escaped = text.replaceAll(/[\u0000-\u001f\u007f]/g, '').replaceAll(/["\\]/g, (character) => `\\${character}`)
  return `"${escaped}"`
}
