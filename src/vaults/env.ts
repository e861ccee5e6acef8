import type { Schema } from '../schema/field.ts'
import { isReference, own } from '../schema/value.ts'

/** The vault of environment variables: its settings. */
export const schema = {
  name: 'env',
  fields: [
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            prefix: {
              type: 'string',
              match: '^[%a_-][%a%d_-]*$',
              description: 'Put before the names in references.',
            },
          },
        ],
      },
    },
  ],
} as const satisfies Schema

/** A vault as references name it: its kind, and what its entity's config says. */
export interface NamedVault {
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
}

/**
 * The secret that a reference such as `{vault://env/my-name/key}` stands for, or undefined where there is none.
 * `-` in a name stands for `_`, names are made upper case, and a key picks a member of a secret that is a JSON object.
 * `vaults` are those with a prefix of their own; `env` itself needs no entity.
 * Source: Kong's docs, "Secrets management", "Environment variables vault".
 */
export function resolveReference(
  reference: string,
  environment: Readonly<Record<string, string | undefined>>,
  vaults: ReadonlyMap<string, NamedVault> = new Map(),
): string | undefined {
  const parsed = parseReference(reference)
  const vault = parsed && (vaults.get(parsed.prefix) ?? (parsed.prefix === 'env' ? bare : undefined))
  if (!vault || vault.name !== 'env') return undefined
  const given = parsed.config['prefix'] ?? vault.config['prefix']
  const prefix = typeof given === 'string' ? given : ''
  const secret = own(environment, `${prefix}${parsed.name}`.replaceAll('-', '_').toUpperCase())
  if (typeof secret !== 'string' || parsed.key === undefined) return typeof secret === 'string' ? secret : undefined
  return memberOf(secret, parsed.key)
}

const bare: NamedVault = { name: 'env', config: {} }

/** A reference's parts; undefined for what is no reference. Settings may stand behind a question mark, as in a URL. */
function parseReference(
  reference: string,
): { prefix: string; name: string; key: string | undefined; config: Record<string, string> } | undefined {
  if (!isReference(reference)) return undefined
  const [, prefix, name, key, query] =
    /^\{vault:\/\/([^/?#]+)\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#\d+)?\}$/.exec(reference) ?? []
  if (prefix === undefined || name === undefined) return undefined
  return {
    prefix,
    name,
    key: key === '' ? undefined : key,
    config: Object.fromEntries(new URLSearchParams(query ?? '')),
  }
}

function memberOf(secret: string, key: string): string | undefined {
  try {
    const member = own(JSON.parse(secret) as unknown, key)
    return typeof member === 'string' || typeof member === 'number' ? String(member) : undefined
  } catch {
    return undefined
  }
}
