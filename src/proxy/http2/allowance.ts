/**
 * What the other end may do that leads to nothing: pings, settings, windows opened by a little, streams given up as soon as they
 * are opened. Each such frame takes one from the allowance, real work and time give it back. So whoever only keeps the gateway
 * busy is found out, whichever frames it is done with (CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2025-8671).
 */

const most = 1000
const perSecond = 33

export class Allowance {
  #left = most
  #lastMs: number
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
    this.#lastMs = now()
  }

  /** False once there is nothing left. */
  spend(): boolean {
    const now = this.#now()
    this.#left = Math.min(most, this.#left + ((now - this.#lastMs) * perSecond) / 1000) - 1
    this.#lastMs = now
    return this.#left >= 0
  }

  earn(amount: number): void {
    this.#left = Math.min(most, this.#left + amount)
  }
}
