import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { routes } from '../entities/routes.ts'
import type { schema as jwt } from '../plugins/jwt/schema.ts'
import type { Config, Entity } from './infer.ts'

/** Compiles only where both types are the same. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- how the two are compared
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

type Route = Entity<typeof routes>
type Jwt = Config<typeof jwt>

test("a schema's literal gives the type of what passes its checks", () => {
  const facts: [
    Same<Jwt['secret_is_base64'], boolean>,
    Same<Jwt['realm'], string | null>,
    Same<Jwt['header_names'], readonly string[] | null>,
    Same<Jwt['claims_to_verify'], readonly ('exp' | 'nbf')[] | null>,
    Same<Route['strip_path'], boolean>,
    Same<Route['https_redirect_status_code'], 426 | 301 | 302 | 307 | 308>,
    Same<Route['headers'], Readonly<Record<string, readonly string[]>> | null>,
    Same<Route['service'], { readonly id: string } | null>,
  ] = [true, true, true, true, true, true, true, true]
  assert.ok(facts.every(Boolean))
})
