import type { Stored } from '../../store/store.ts'
import { schemaViolation } from '../answers.ts'
import type { Custom } from '../customs.ts'
import { entitiesBelow, referenceId } from '../entities.ts'
import type { Context } from '../types.ts'

/** A plugin whose protocols are named must share one with its route, or with a route of its service if that has any. */
export const pluginCustom: Custom = {
  write(context, input, _, before) {
    const text = protocolError(context, before && touchesScope(input) ? { ...before, ...input } : input)
    if (text !== undefined) return { refusal: schemaViolation({ protocols: text }) }
    return (plugin) => ({ operations: [], shown: plugin })
  },
}

const touchesScope = (input: Readonly<Record<string, unknown>>): boolean =>
  ['protocols', 'route', 'service'].some((field) => Object.hasOwn(input, field))

function protocolError(context: Context, plugin: Readonly<Record<string, unknown>>): string | undefined {
  const { protocols } = plugin
  if (!Array.isArray(protocols)) return undefined
  const shares = (route: Stored): boolean =>
    (route['protocols'] as readonly string[]).some((protocol) => protocols.includes(protocol))
  const routeId = referenceId(plugin['route'])
  if (routeId !== undefined) {
    const route = context.store.reader.get('routes', routeId)
    return !route || shares(route) ? undefined : "must match the associated route's protocols"
  }
  const serviceId = referenceId(plugin['service'])
  if (serviceId === undefined) return undefined
  const routes = [...entitiesBelow(context, 'routes', { field: 'service', id: serviceId })]
  // A service without routes takes whatever comes later.
  if (routes.length === 0 || routes.some(shares)) return undefined
  return "must match the protocols of at least one route pointing to this Plugin's service"
}
