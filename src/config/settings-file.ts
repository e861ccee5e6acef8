/** One `key = value` of a settings file. */
export interface FileEntry {
  readonly name: string
  readonly text: string
  readonly line: number
}

/**
 * Reads a settings file as Kong's are written: `key = value` lines, `#` begins a comment unless it is written `\#`, a
 * backslash at a line's end continues it. `errors` holds the lines that are none of these.
 */
export function parseSettingsFile(text: string): {
  readonly entries: readonly FileEntry[]
  readonly errors: readonly string[]
} {
  const entries: FileEntry[] = []
  const errors: string[] = []
  for (const { content, line } of joinedLines(text)) {
    const bare = content
      .replace(/(^|\s*[^\\])#.*$/, (_match, before: string) => before.trimEnd())
      .replaceAll('\\#', '#')
      .trim()
    if (bare === '') continue
    const [, name, value] = /^([^=\s]+)\s*=\s*(.*)$/.exec(bare) ?? []
    if (name === undefined) errors.push(`line ${line}: expected key = value`)
    else entries.push({ name, text: value!.trim(), line })
  }
  return { entries, errors }
}

function joinedLines(text: string): { content: string; line: number }[] {
  const joined: { content: string; line: number }[] = []
  let open: { content: string; line: number } | undefined
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const current = open ?? { content: '', line: index + 1 }
    const continues = raw.endsWith('\\') && !/^\s*#/.test(raw)
    current.content += continues ? raw.slice(0, -1) : raw
    open = continues ? current : undefined
    if (!open) joined.push(current)
  }
  return open ? [...joined, open] : joined
}
