import { randomUUID } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import type { Stored } from '../../store/store.ts'
import { absent, invalidUnique, message, notFound, ok, type Answer } from '../answers.ts'
import { insert, list, named, patch, read, remove, upsert, type Link } from '../crud.ts'
import { withSnis } from '../customs/certificates.ts'
import { find, isUuid, referenceId, wrongValue, type Named } from '../entities.ts'
import type { AdminRequest, Context, Endpoint, Handler } from '../types.ts'

const noSni = message(404, 'SNI not found')

/** A certificate's id, and the SNI by which the path named it. */
interface Meant {
  readonly id: string
  readonly sni?: string
}

/** Certificates, which can be named by one of their SNIs and are shown with all of them. */
export function certificateEndpoints(context: Context): Endpoint[] {
  const certificates = context.kinds.get('certificates')
  const snis = context.kinds.get('snis')
  if (!certificates || !snis) return []
  const meant =
    (handle: (request: AdminRequest, meant: Meant) => Answer | Promise<Answer>): Handler =>
    (request) => {
      const found = certificateMeant(context, snis, request)
      return 'refusal' in found ? found.refusal : handle(request, found)
    }
  const below = (handle: (request: AdminRequest, link: Link) => Answer | Promise<Answer>): Handler =>
    meant((request, { id }) =>
      find(context, certificates, byId(id)) ? handle(request, { field: 'certificate', id }) : notFound,
    )
  const path = '/certificates/{certificates}'
  return [
    {
      path: '/certificates',
      methods: {
        GET: (request) => withEachSni(context, list(context, certificates, request)),
        POST: (request) => insert(context, certificates, request),
      },
    },
    {
      path,
      methods: {
        GET: meant((_, { id }) => readWithSnis(context, certificates, id)),
        PUT: meant((request, { id, sni }) => upsert(context, certificates, withNames(request, sni), byId(id))),
        PATCH: meant((request, { id }) => patch(context, certificates, withNames(request), byId(id))),
        DELETE: meant((_, { id }) => remove(context, certificates, byId(id))),
      },
    },
    {
      path: `${path}/snis`,
      methods: {
        GET: below((request, link) => list(context, snis, request, link, `/certificates/${link.id}/snis`)),
        POST: below((request, link) => insert(context, snis, request, link)),
      },
    },
    {
      path: `${path}/snis/{snis}`,
      methods: {
        GET: below((request, link) => named(snis, request, (name) => read(context, snis, name, link))),
        PUT: below((request, link) => named(snis, request, (name) => upsert(context, snis, request, name, link))),
        PATCH: below((request, link) => named(snis, request, (name) => patch(context, snis, request, name, link))),
        DELETE: below((request, link) => named(snis, request, (name) => remove(context, snis, name, link))),
      },
    },
  ]
}

const byId = (id: string): Named => ({ field: 'id', value: id })

/** A PUT by a name that is nobody's makes a new certificate. */
function certificateMeant(
  { store }: Context,
  snis: Schema,
  { method, params }: AdminRequest,
): Meant | { readonly refusal: Answer } {
  const text = params['certificates'] ?? ''
  if (isUuid(text)) return { id: text.toLowerCase() }
  const wrong = wrongValue(snis, 'name', text)
  if (wrong !== undefined) return { refusal: invalidUnique('name', wrong) }
  const owner = referenceId(store.reader.by('snis', 'name', text)?.['certificate'])
  if (owner === undefined && method !== 'PUT') return { refusal: noSni }
  return { id: owner ?? randomUUID(), sni: text }
}

/** A single name may stand for a list; a PUT by name adds that name to those given, and without any takes all away. */
function withNames(request: AdminRequest, sni?: string): AdminRequest {
  const given = request.body.value['snis']
  const names = typeof given === 'string' && given !== '' ? [given] : given
  const snis =
    Array.isArray(names) && sni !== undefined && !names.includes(sni)
      ? [...names, sni]
      : (names ?? (request.method === 'PUT' ? null : undefined))
  if (snis === undefined) return request
  return { ...request, body: { ...request.body, value: { ...request.body.value, snis } } }
}

function readWithSnis(context: Context, certificates: Schema, id: string): Answer {
  const found = find(context, certificates, byId(id))
  return found ? ok(withSnis(context, found)) : absent('id', id)
}

function withEachSni(context: Context, page: Answer): Answer {
  if (page.status !== 200) return page
  const body = page.body as { readonly data: readonly Stored[] }
  return ok({ ...body, data: body.data.map((certificate) => withSnis(context, certificate)) })
}
