/**
 * A value in a distinguished name, with everything escaped that would end it or mean something: nobody names another entry than the
 * one below the base that has this value. Source: RFC 4514 2.4.
 */
export function escapeValue(value: string): string {
  return value.replaceAll(/["+,;<>\\=]|^[ #]| $/g, (character) => `\\${character}`).replaceAll('\0', '\\00')
}
