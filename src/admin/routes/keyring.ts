import type { SealedStore } from '../../store/sealed.ts'
import { message, ok } from '../answers.ts'
import type { Endpoint } from '../types.ts'

/** `/keyring`: how the store is sealed, for `gibbon keyring` on the node itself. */
export function keyringEndpoints({
  sealing: store,
}: {
  readonly sealing?: Pick<SealedStore, 'sealing' | 'rotate'>
}): Endpoint[] {
  if (!store) return []
  return [
    { path: '/keyring', methods: { GET: () => ok(store.sealing()) } },
    {
      path: '/keyring/rotate',
      methods: {
        POST: async () => {
          if (store.sealing().active === null) return message(400, 'the store is not sealed: no keyring_file is given')
          return ok({ sealed: await store.rotate(), ...store.sealing() })
        },
      },
    },
  ]
}
