import { referencedByOthers } from '../answers.ts'
import type { Custom } from '../customs.ts'

/** An authority's certificate stays while a service verifies with it: the ids that services list are no foreign keys. */
export const caCertificateCustom: Custom = {
  removal({ store }, id) {
    for (const service of store.reader.all('services')) {
      const authorities = service['ca_certificates']
      if (!Array.isArray(authorities) || !authorities.includes(id)) continue
      const text = `ca certificate ${id} is still referenced by services (id = ${service.id})`
      return { refusal: referencedByOthers(text) }
    }
    return { operations: [] }
  },
}
