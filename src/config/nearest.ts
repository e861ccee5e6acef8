/** The known name that a mistyped one most likely means; undefined where none is near enough to be worth a guess. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  // A third of the letters may be wrong: fewer misses simple slips, more guesses wildly.
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), least)
    if (distance >= least) continue
    least = distance
    best = candidate
  }
  return best
}

/** ` (did you mean ...?)`, or nothing: to be put behind a text that names an unknown name. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const guess = nearest(name, known)
  return guess === undefined ? '' : ` (did you mean ${guess}?)`
}

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours count one each.
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(substitution, last[j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
