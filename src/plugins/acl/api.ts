/**
 * `/consumers/{consumers}/acls/{acls}`, where the last part may be a group's name: unique below a consumer, not beyond.
 * Source: Kong's docs, "ACL", and the recorded answers.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Answer } from '../../admin/answers.ts'
import { isUuid, type PluginApi, type Tools } from '../../admin/plugin-api.ts'
import type { AdminRequest, Endpoint, Handler, Method } from '../../admin/types.ts'

export const api: PluginApi = (tools): Endpoint[] => [
  {
    path: '/consumers/{consumers}/acls/{acls}',
    methods: Object.fromEntries(
      (['GET', 'PUT', 'PATCH', 'DELETE'] as const).map((method) => [method, byGroup(tools, method)]),
    ),
  },
]

/** The generated endpoint, after a group's name was replaced by the id of the consumer's membership in it. */
function byGroup(tools: Tools, method: Exclude<Method, 'POST'>): Handler {
  const generated = tools.generated('/consumers/{consumers}/acls/{acls}', method)
  return (request) => {
    const group = request.params['acls'] ?? ''
    if (isUuid(group)) return generated(request)
    const nameOrId = request.params['consumers'] ?? ''
    const consumer = tools.find('consumers', nameOrId)
    if (!consumer) return method === 'PUT' && isUuid(nameOrId) ? generated(withId(request, randomUUID())) : notFound()
    const id = tools.findBelow('acls', { field: 'consumer', id: consumer.id }, 'group', group)?.id
    if (id === undefined && method !== 'PUT') return notFound()
    const named = withId(request, id ?? randomUUID())
    return generated(method === 'PUT' ? withGroup(named, group) : named)
  }
}

const withId = (request: AdminRequest, id: string): AdminRequest => ({
  ...request,
  params: { ...request.params, acls: id },
})

/** A group in the body counts before the one in the path. */
function withGroup(request: AdminRequest, group: string): AdminRequest {
  const { body } = request
  if (body.value['group'] !== undefined) return request
  return {
    ...request,
    body: { ...body, kind: body.kind === 'none' ? 'json' : body.kind, value: { ...body.value, group } },
  }
}

/** In the form of the proxy's errors, as Kong answers here. */
const notFound = (): Answer => ({
  status: 404,
  body: { message: 'Not found', request_id: randomBytes(16).toString('hex') },
})
