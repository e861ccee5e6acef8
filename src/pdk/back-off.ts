/** How long to wait before what has failed is tried again. */

export interface Pauses {
  readonly firstMs: number
  readonly longestMs: number
}

/**
 * The pause in ms after so many failures in a row, 1 or more: twice as long each time, up to the longest, and of that a half to all by
 * chance, so that those who failed together do not try again together.
 */
export function backOffMs(failures: number, { firstMs, longestMs }: Pauses, random = Math.random): number {
  return Math.min(firstMs * 2 ** Math.min(failures - 1, 10), longestMs) * (0.5 + random() / 2)
}
