/**
 * What a plain YAML word means: exactly what Kong's reader (lyaml, over LibYAML) makes of it, so that a file means the same here.
 * That is YAML 1.1 without its timestamps: `yes` and `off` are booleans, `0755` is octal, `1:30` is sixty-based,
 * `1_000` is a number, and `2024-01-31` stays a text. Source: lyaml's manual, "implicit".
 */
export function plainScalar(word: string): string | number | boolean | null {
  if (word.length <= 5) {
    const constant = constants.get(word)
    if (constant !== undefined) return constant
  }
  const first = word.charCodeAt(0)
  // Every number begins with a digit, a sign, a point or an underscore: most words are decided here.
  const mayBeNumber =
    (first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d || first === 0x2e || first === 0x5f
  return mayBeNumber ? numberOf(word) : word
}

/** A scalar with an explicit tag: its value, or what is wrong with it. */
export function taggedScalar(tag: string, text: string): { readonly value: unknown } | { readonly message: string } {
  const kind = tags.get(tag)
  if (!kind) return { message: `unknown tag '${tag}'` }
  if (kind === 'str') return { value: text }
  const value = plainScalar(text)
  const fits = kind === 'null' ? value === null : typeof value === kind
  return fits ? { value } : { message: `'${text}' does not fit the tag '${tag}'` }
}

const tags = new Map<string, 'str' | 'number' | 'boolean' | 'null'>([
  ['!', 'str'],
  ['tag:yaml.org,2002:str', 'str'],
  ['tag:yaml.org,2002:int', 'number'],
  ['tag:yaml.org,2002:float', 'number'],
  ['tag:yaml.org,2002:bool', 'boolean'],
  ['tag:yaml.org,2002:null', 'null'],
])

const cases = (word: string): string[] => [word, (word[0] ?? '').toUpperCase() + word.slice(1), word.toUpperCase()]

const constants = new Map<string, boolean | null>([
  ...['', '~', ...cases('null')].map((word) => [word, null] as const),
  ...['true', 'yes', 'on'].flatMap(cases).map((word) => [word, true] as const),
  ...['false', 'no', 'off'].flatMap(cases).map((word) => [word, false] as const),
])

/** The forms of numbers, first match wins. `digits` has neither sign nor underscores. */
const forms: readonly { readonly form: RegExp; readonly value: (digits: string) => number }[] = [
  { form: /^[+-]?0_*[0-7][0-7_]*$/, value: (digits) => Number.parseInt(digits, 8) },
  { form: /^[+-]?_*[0-9][0-9_]*$/, value: Number },
  { form: /^[+-]?(?=[0-9_.]*[.eE])(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?$/, value: Number },
  { form: /^[+-]?\.(?:inf|Inf|INF)$/, value: () => Infinity },
  { form: /^\.(?:nan|NaN|NAN)$/, value: () => NaN },
  { form: /^[+-]?0x_*[0-9a-fA-F][0-9a-fA-F_]*$/, value: Number },
  { form: /^[+-]?0b_*[01][01_]+$/, value: Number },
  { form: /^[+-]?[0-9]+:[0-5]?[0-9][:0-9]*$/, value: sixtyBased },
  { form: /^[+-]?[0-9]+:[0-5]?[0-9][:0-9]*\.[0-9]+$/, value: sixtyBased },
]

function numberOf(word: string): number | string {
  const found = forms.find(({ form }) => form.test(word))
  if (!found) return word
  const digits = word.replace(/^[+-]/, '').replaceAll('_', '')
  const value = found.value(digits)
  if (Number.isNaN(value) && !digits.toLowerCase().endsWith('nan')) return word
  return word.startsWith('-') ? -value : value
}

function sixtyBased(digits: string): number {
  const [whole = '', fraction] = digits.split('.')
  const parts = whole.split(':').filter((part) => part !== '')
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0) + Number(`0.${fraction ?? 0}`)
}
