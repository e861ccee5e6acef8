/** An identity provider that nobody here wrote. */
import { generateKeyPairSync } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { Provider } from 'oidc-provider'

/** A new key to sign tokens with, as a provider takes it. */
export const keyNamed = (kid: string): object => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
  alg: 'RS256',
})

export interface ProviderOptions {
  /** Tokens are signed with the first of them. */
  readonly keys: readonly object[]
  readonly format?: 'jwt' | 'opaque'
  /** How long tokens are good, in seconds; ten minutes without it. */
  readonly ttl?: number
  /** What the client `app` has beside its name and its secret. */
  readonly client?: object
  readonly features?: object
}

/** What such a provider answers requests with. */
export const providerOf = (issuer: string, options: ProviderOptions): RequestListener =>
  createProvider(issuer, options).callback()

/** A provider that gives the client `app`, with the secret `app-secret`, access tokens for `orders` with the scope `orders:read`. */
export const createProvider = (
  issuer: string,
  { keys, format = 'jwt', ttl = 600, client = {}, features = {} }: ProviderOptions,
): Provider =>
  new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'app',
        client_secret: 'app-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: 'orders:read',
        ...client,
      },
    ],
    scopes: ['orders:read'],
    ttl: { ClientCredentials: () => ttl },
    // It speaks to no private addresses by itself, which is where tests are.
    fetch: (url: string, request: object) => fetch(url, { ...request, dispatcher: undefined } as object),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'orders:read',
          audience: 'orders',
          accessTokenFormat: format,
          ...(format === 'jwt' && { jwt: { sign: { alg: 'RS256' } } }),
        }),
      },
      ...features,
    },
  })

/** Has it give the client `app` a token. */
export async function newTokenOf(issuer: string): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from('app:app-secret').toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: 'grant_type=client_credentials&scope=orders:read&resource=urn:orders',
  })
  return ((await response.json()) as { access_token: string }).access_token
}
