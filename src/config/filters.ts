/** The WebAssembly filters that are installed: filter chains may name them, though none is ever run here. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plainConfig } from '../entities/filter_chains.ts'
import type { Settings } from './settings-declared.ts'

/** What a filter's config has to be, as a JSON Schema, by the filter's name; `plainConfig` where its maker does not say. */
export type Filters = ReadonlyMap<string, unknown>

type FilterSettings = Pick<Settings, 'wasm' | 'wasm_filters' | 'wasm_filters_path'>

/**
 * The filters that the settings allow: `NAME.wasm` in `wasm_filters_path`, where `NAME.meta.json` beside it may have a `config_schema`.
 * Undefined with `wasm = off`. Throws where the folder, or what stands beside a filter, cannot be read.
 * Source: Kong's docs, "Proxy-Wasm filters" and "Filter configuration".
 */
export function installedFilters({
  wasm,
  wasm_filters: allowed,
  wasm_filters_path: path,
}: FilterSettings): Filters | undefined {
  if (!wasm) return undefined
  if (path === undefined || allowed.includes('off')) return new Map()
  const files = new Set(readdirSync(path))
  const names = [...files].filter((file) => /\.wasm$/i.test(file)).map((file) => file.slice(0, -'.wasm'.length))
  return new Map(
    names
      .filter((name) => allowed.includes('user') || allowed.includes(name))
      .toSorted()
      .map((name) => [name, files.has(metaOf(name)) ? configSchema(join(path, metaOf(name))) : plainConfig]),
  )
}

const metaOf = (name: string): string => `${name}.meta.json`

function configSchema(file: string): unknown {
  try {
    const meta: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return (meta as { readonly config_schema?: unknown } | null)?.config_schema ?? plainConfig
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
  }
}
