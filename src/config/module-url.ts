/**
 * The URL of a module beside the calling one, for `new Worker(...)`: `.ts` in the repository, `.js` in the published package.
 * `siblingModule(import.meta.url, './writer')`; `../` leads upwards as in an import.
 */
export function siblingModule(callerUrl: string, path: string): URL {
  return new URL(path + (callerUrl.endsWith('.ts') ? '.ts' : '.js'), callerUrl)
}
