/** An identity provider for the pages that speak to one as https://idp.example.com. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { keyNamed, providerOf } from '../identity-provider.ts'

export interface IdentityProvider {
  readonly issuer: string
  stop(): void
}

/** Starts one: see `providerOf`. */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  let serve: RequestListener | undefined
  const server = createServer((request, response) => serve?.(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  serve = providerOf(issuer, { keys: [keyNamed('first')] })
  return {
    issuer,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
