import { createAdminToken, listAdminTokens, revokeAdminToken, type TokenOutcome } from '../../store/admin-tokens.ts'
import { created, message, ok, type Answer } from '../answers.ts'
import type { Context, Endpoint } from '../types.ts'

/** `/admin-tokens`: the tokens of the Admin API, for `gibbon admin-token` on the node itself. */
export function adminTokenEndpoints({ store }: Context): Endpoint[] {
  return [
    {
      path: '/admin-tokens',
      methods: {
        GET: () => ok({ data: listAdminTokens(store.reader) }),
        POST: async ({ body }) => answerOf(await createAdminToken(store, body.value), created),
      },
    },
    {
      path: '/admin-tokens/{admin_tokens}',
      methods: {
        DELETE: async ({ params }) => answerOf(await revokeAdminToken(store, params['admin_tokens'] ?? ''), ok),
      },
    },
  ]
}

const answerOf = <T extends object>(outcome: TokenOutcome<T>, good: (body: T) => Answer): Answer =>
  'problem' in outcome ? message(outcome.status, outcome.problem) : good(outcome)
