/** The bundled plugins, a line each. */
import type { Plugin } from '../pdk/plugin.ts'
import type { Schema } from '../schema/field.ts'
import { acls } from './acl/credentials.ts'
import aclHandler from './acl/handler.ts'
import { schema as acl } from './acl/schema.ts'
import { basicauth_credentials } from './basic-auth/credentials.ts'
import basicAuthHandler from './basic-auth/handler.ts'
import { schema as basicAuth } from './basic-auth/schema.ts'
import { hmacauth_credentials } from './hmac-auth/credentials.ts'
import hmacAuthHandler from './hmac-auth/handler.ts'
import { schema as hmacAuth } from './hmac-auth/schema.ts'
import { jwt_secrets } from './jwt/credentials.ts'
import jwtHandler from './jwt/handler.ts'
import { jwt_revocations } from './jwt/revocations-schema.ts'
import { schema as jwt } from './jwt/schema.ts'
import { jwt_signing_keys } from './jwt/signing-keys-schema.ts'
import { jwt_uses } from './jwt/uses-schema.ts'
import { keyauth_credentials } from './key-auth/credentials.ts'
import keyAuthHandler from './key-auth/handler.ts'
import { schema as keyAuth } from './key-auth/schema.ts'
import ldapAuthHandler from './ldap-auth/handler.ts'
import { schema as ldapAuth } from './ldap-auth/schema.ts'
import { oauth2_authorization_codes, oauth2_credentials, oauth2_tokens } from './oauth2/credentials.ts'
import oauth2Handler from './oauth2/handler.ts'
import { schema as oauth2 } from './oauth2/schema.ts'
import rateLimitingHandler from './rate-limiting/handler.ts'
import { ratelimiting_metrics } from './rate-limiting/metrics-schema.ts'
import { schema as rateLimiting, schemaWithoutDatabase } from './rate-limiting/schema.ts'
import requestTerminationHandler from './request-termination/handler.ts'
import { schema as requestTermination } from './request-termination/schema.ts'
import { session_metadatas, sessions } from './session/credentials.ts'
import sessionHandler from './session/handler.ts'
import { schema as session } from './session/schema.ts'
import standardWebhooksHandler from './standard-webhooks/handler.ts'
import { schema as standardWebhooks } from './standard-webhooks/schema.ts'

/** What a plugin brings: its settings, what it does, and entities of its own such as credentials. */
export interface BundledPlugin {
  readonly name: string
  readonly schema: Schema
  /** Its settings where there is no database, if they are others. */
  readonly withoutDatabase?: Schema
  readonly handler: Plugin<unknown, unknown>
  readonly entities: readonly Schema[]
}

export const bundledPlugins: readonly BundledPlugin[] = [
  { name: 'acl', schema: acl, handler: aclHandler, entities: [acls] },
  { name: 'basic-auth', schema: basicAuth, handler: basicAuthHandler, entities: [basicauth_credentials] },
  { name: 'hmac-auth', schema: hmacAuth, handler: hmacAuthHandler, entities: [hmacauth_credentials] },
  {
    name: 'jwt',
    schema: jwt,
    handler: jwtHandler,
    entities: [jwt_secrets, jwt_revocations, jwt_uses, jwt_signing_keys],
  },
  { name: 'key-auth', schema: keyAuth, handler: keyAuthHandler, entities: [keyauth_credentials] },
  { name: 'ldap-auth', schema: ldapAuth, handler: ldapAuthHandler, entities: [] },
  {
    name: 'oauth2',
    schema: oauth2,
    handler: oauth2Handler,
    entities: [oauth2_credentials, oauth2_authorization_codes, oauth2_tokens],
  },
  {
    name: 'rate-limiting',
    schema: rateLimiting,
    withoutDatabase: schemaWithoutDatabase,
    handler: rateLimitingHandler,
    entities: [ratelimiting_metrics],
  },
  { name: 'request-termination', schema: requestTermination, handler: requestTerminationHandler, entities: [] },
  { name: 'session', schema: session, handler: sessionHandler, entities: [sessions, session_metadatas] },
  { name: 'standard-webhooks', schema: standardWebhooks, handler: standardWebhooksHandler, entities: [] },
]
