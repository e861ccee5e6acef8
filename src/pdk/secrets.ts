import { randomInt, timingSafeEqual } from 'node:crypto'

/** Whether two secrets are the same, in a time that tells nothing but their lengths. */
export function sameSecret(one: string | Buffer, other: string | Buffer): boolean {
  const [a, b] = [Buffer.from(one as string), Buffer.from(other as string)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const alphanumerics = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** 32 letters and digits that nobody can guess, as Kong makes its tokens. */
export const randomText = (): string =>
  Array.from({ length: 32 }, () => alphanumerics[randomInt(alphanumerics.length)]).join('')
