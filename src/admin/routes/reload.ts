import { message, ok } from '../answers.ts'
import type { Endpoint } from '../types.ts'

/** Starts a process that takes this one's place, and resolves when it serves; rejects with the reason where it does not. */
export type Replace = () => Promise<{ readonly pid: number; readonly ms: number }>

/** `/reload`: for `gibbon reload` on the node itself. */
export function reloadEndpoints({ replace }: { readonly replace?: Replace }): Endpoint[] {
  if (!replace) return []
  const POST = async () => {
    try {
      return ok(await replace())
    } catch (error) {
      return message(500, (error as Error).message)
    }
  }
  return [{ path: '/reload', methods: { POST } }]
}
