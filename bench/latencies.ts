/** Latencies in buckets of 1 % each: exact enough, in little memory. */

const base = 1.01
const smallestMs = 0.001
const buckets = 2400

export class Latencies {
  readonly #counts = new Float64Array(buckets)

  add(ms: number): void {
    const at = Math.ceil(Math.log(Math.max(ms, smallestMs) / smallestMs) / Math.log(base))
    this.#counts[Math.min(at, buckets - 1)]!++
  }

  clear(): void {
    this.#counts.fill(0)
  }

  quantiles(): { readonly p50: number; readonly p99: number; readonly p999: number } {
    return { p50: this.#quantile(0.5), p99: this.#quantile(0.99), p999: this.#quantile(0.999) }
  }

  #quantile(share: number): number {
    const total = this.#counts.reduce((sum, count) => sum + count, 0)
    let seen = 0
    const at = this.#counts.findIndex((count) => (seen += count) >= share * total && seen > 0)
    return at < 0 ? Number.NaN : smallestMs * base ** at
  }
}
