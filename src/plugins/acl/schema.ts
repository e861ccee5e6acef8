import type { Schema } from '../../schema/field.ts'
import { no_consumer, protocols_http } from '../../schema/typedefs.ts'

/** The acl plugin's settings. */
export const schema = {
  name: 'acl',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            allow: {
              type: 'array',
              elements: { type: 'string' },
              description: 'Groups that are let through; all others are not.',
            },
          },
          {
            deny: {
              type: 'array',
              elements: { type: 'string' },
              description: 'Groups that are not let through; all others are.',
            },
          },
          {
            hide_groups_header: {
              type: 'boolean',
              required: true,
              default: false,
              description: 'Whether the upstream is not told the groups.',
            },
          },
          {
            always_use_authenticated_groups: {
              type: 'boolean',
              required: true,
              default: false,
              description: 'Whether groups that another plugin found count before those of the consumer.',
            },
          },
        ],
      },
    },
  ],
  entity_checks: [
    { only_one_of: ['config.allow', 'config.deny'] },
    { at_least_one_of: ['config.allow', 'config.deny'] },
  ],
} as const satisfies Schema
