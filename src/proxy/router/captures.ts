/** What the groups of a regular expression have captured, by number from 1 and by name; undefined where it has none. */
export function capturesOf(
  groups: readonly (string | undefined)[],
  named: Readonly<Record<string, string>>,
): ReadonlyMap<string | number, string> | undefined {
  if (groups.length <= 1) return undefined
  const captures = new Map<string | number, string>()
  for (let index = 1; index < groups.length; index++) {
    const group = groups[index]
    if (group !== undefined) captures.set(index, group)
  }
  for (const name of Object.keys(named)) captures.set(name, named[name] ?? '')
  return captures
}
