import { randomInt, timingSafeEqual } from 'node:crypto'

/** Whether two secrets are the same, in a time that tells nothing but their lengths. Every comparison of secrets is this one. */
export function sameSecret(one: string | Buffer, other: string | Buffer): boolean {
  const [a, b] = [bytesOf(one), bytesOf(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const bytesOf = (secret: string | Buffer): Buffer => (typeof secret === 'string' ? Buffer.from(secret) : secret)

const alphanumerics = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** 32 letters and digits that nobody can guess, as Kong makes its tokens. */
export const randomText = (): string =>
  Array.from({ length: 32 }, () => alphanumerics[randomInt(alphanumerics.length)]).join('')
