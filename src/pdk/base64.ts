/**
 * The bytes of a base64 text as nginx reads it, and so Kong: the first `=` ends it, and one character left over is a mistake.
 * Undefined where the text is no base64.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const end = text.indexOf('=')
  const digits = end < 0 ? text : text.slice(0, end)
  return digits.length % 4 !== 1 && /^[A-Za-z\d+/]*$/.test(digits) ? Buffer.from(digits, 'base64') : undefined
}
