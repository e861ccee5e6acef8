/** Whether two JSON values are the same whatever the order of their keys; `ignored` names top-level fields not looked at. */
export function equal(a: unknown, b: unknown, ignored: readonly string[] = []): boolean {
  if (a === b) return true
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, at) => equal(item, b[at]))
  if (!isRecord(a) || !isRecord(b)) return false
  return sameFields(a, b, ignored) && sameFields(b, a, ignored, () => true)
}

function sameFields(
  a: Record<string, unknown>,
  b: Record<string, unknown>,
  ignored: readonly string[],
  same: (a: unknown, b: unknown) => boolean = equal,
): boolean {
  // A field that is undefined is one that JSON does not have.
  return Object.keys(a).every(
    (name) =>
      a[name] === undefined ||
      ignored.includes(name) ||
      (Object.hasOwn(b, name) && b[name] !== undefined && same(a[name], b[name])),
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
