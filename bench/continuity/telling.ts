/** How many of each there were, and the first few kinds. */
export function told(problems: readonly string[]): string {
  const kinds = Map.groupBy(problems, (text) => text.replaceAll(/[\da-f]{32}|\d+/g, '#').slice(0, 80))
  const few = [...kinds.values()].slice(0, 8).map((same) => `${same.length} × ${same[0]?.slice(0, 160)}`)
  return few.length === 0 ? 'nothing' : few.join('; ')
}

/** The value that a share of them do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2))
}
