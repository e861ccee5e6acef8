/** For tests: settings with which filter chains may name the filter `waf`, of which only the name is there. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function withFilters() {
  const wasm_filters_path = mkdtempSync(join(tmpdir(), 'gibbon-filters-'))
  writeFileSync(join(wasm_filters_path, 'waf.wasm'), '')
  return { wasm: 'on', wasm_filters_path }
}
