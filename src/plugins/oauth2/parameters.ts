/** Parameters of requests: from the query, and where a method has a body from that, which counts first. */
import type { Request } from '../../pdk/kong.ts'

export interface Parameters {
  /** A parameter that was given as one text. */
  text(name: string): string | undefined
  /** Whether it was given at all, in whatever form. */
  has(name: string): boolean
  /** What was given, in whatever form: a list where a name comes several times, true where it stands without a value. */
  given(name: string): unknown
}

const withBody = new Set(['POST', 'PUT', 'PATCH'])

export async function readParameters(request: Request): Promise<Parameters> {
  const query = request.get_raw_query() === '' ? undefined : request.get_query()
  const body = withBody.has(request.get_method()) ? await request.get_body() : undefined
  const given = (name: string): unknown => {
    const values = query?.get(name)
    const inBody = body?.get(name)
    return inBody === undefined ? (values?.length === 1 ? values[0] : values) : inBody
  }
  return {
    given,
    text(name) {
      const value = given(name)
      // A lone surrogate has no UTF-8 form: nothing that is kept can be meant.
      return typeof value === 'string' && value.isWellFormed() ? value : undefined
    },
    has: (name) => given(name) !== undefined,
  }
}
