/** Parameters of requests: from the query, and where a method has a body from that, which counts first. */
import type { Request } from '../../pdk/kong.ts'

export interface Parameters {
  /** A parameter that was given as one text. */
  text(name: string): string | undefined
  /** Whether it was given at all, in whatever form. */
  has(name: string): boolean
}

const withBody = new Set(['POST', 'PUT', 'PATCH'])

export async function readParameters(request: Request): Promise<Parameters> {
  const query = request.get_raw_query() === '' ? undefined : request.get_query()
  const body = withBody.has(request.get_method()) ? await request.get_body() : undefined
  const given = (name: string): unknown => {
    const values = query?.get(name)
    return body?.get(name) ?? (values?.length === 1 ? values[0] : values)
  }
  return {
    text(name) {
      const value = given(name)
      if (typeof value === 'number') return String(value)
      // A lone surrogate has no UTF-8 form: nothing that is kept can be meant.
      return typeof value === 'string' && value.isWellFormed() ? value : undefined
    },
    has: (name) => given(name) !== undefined,
  }
}
