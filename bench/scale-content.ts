/** The configurations of `scale.ts`: as many routes and consumers as asked for, as a declarative file and one by one. */
import { createHmac } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'

export interface Size {
  readonly consumers: number
  readonly routes: number
}

const routesPerService = 10

/** How many services lead to this many routes. */
const servicesOf = (routes: number): number => Math.ceil(routes / routesPerService)

/** The key of a consumer's credential. */
export const keyOf = (consumer: number): string => `key-of-consumer-${consumer}`

/** A request that the last route takes and the plugin of its service lets pass. */
export const pathOf = (route: number): string => `/service-${Math.floor(route / routesPerService)}/route-${route}`

/** A token of a consumer's. */
export function tokenOf(consumer: number): string {
  const text = `${json({ alg: 'HS256', typ: 'JWT' })}.${json({ iss: keyOf(consumer) })}`
  return `${text}.${createHmac('sha256', secretOf(consumer)).update(text).digest('base64url')}`
}

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const secretOf = (consumer: number): string => `secret-of-consumer-${consumer}-that-is-long-enough`

/** Writes the configuration as JSON, piece by piece: the whole text need not fit into memory. */
export function writeContent(file: string, { consumers, routes }: Size, upstreamPort: number): void {
  const out = openSync(file, 'w')
  let pending = ''
  const put = (text: string) => {
    pending += text
    if (pending.length < 1 << 20) return
    writeSync(out, pending)
    pending = ''
  }
  put('{"_format_version":"3.0","services":[')
  for (let index = 0; index < servicesOf(routes); index++)
    put(`${comma(index)}${JSON.stringify(service(index, routes, upstreamPort))}`)
  put('],"consumers":[')
  for (let index = 0; index < consumers; index++) put(`${comma(index)}${JSON.stringify(consumer(index))}`)
  put(']}')
  writeSync(out, pending)
  closeSync(out)
}

const comma = (index: number): string => (index === 0 ? '' : ',\n')

const service = (index: number, routes: number, upstreamPort: number): object => ({
  name: `service-${index}`,
  url: `http://127.0.0.1:${upstreamPort}`,
  plugins: [{ name: 'jwt' }],
  routes: Array.from({ length: Math.min(routesPerService, routes - index * routesPerService) }, (_, at) => {
    const route = index * routesPerService + at
    return { name: `route-${route}`, paths: [pathOf(route)], strip_path: false }
  }),
})

const consumer = (index: number): object => ({
  username: `consumer-${index}`,
  jwt_secrets: [{ key: keyOf(index), secret: secretOf(index), algorithm: 'HS256' }],
})
