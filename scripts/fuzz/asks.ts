import fc from 'fast-check'
import {
  type DocumentedOperation,
  type OpenApiDocument,
  operationsOf,
  type ParameterObject,
  type SchemaObject,
} from '../../api/openapi-document.ts'
import { type Ask, CALLERS, collectionsOf, referenceTo } from './ask.ts'
import { brokenAsks } from './broken.ts'
import { valuesOf } from './values.ts'

/** How often an operation is asked for beside the others: those that cost much, or end the sequence for its caller, less. */
const WEIGHTS: Record<string, number> = {
  createMeeting: 8,
  changeMeeting: 6,
  listMeetings: 6,
  cancelMeeting: 3,
  signIn: 1,
  setPassword: 1,
}

/** One request, for any operation of the document: most of them as it says, the others broken in some way. */
export function asksOf(document: OpenApiDocument): fc.Arbitrary<Ask> {
  return fc.oneof(
    ...operationsOf(document).map(operation => ({
      weight: WEIGHTS[operation.operation.operationId] ?? 3,
      arbitrary: askFor(document, operation),
    })),
  )
}

function askFor(document: OpenApiDocument, documented: DocumentedOperation): fc.Arbitrary<Ask> {
  const { operation, method, path } = documented
  const parameters = operation.parameters ?? []
  const of = (where: ParameterObject['in']) => parameters.filter(one => one.in === where)
  const good = fc
    .record({
      caller: callers,
      ids: fc.tuple(...idsOf(path)),
      query: someOf(document, of('query')),
      headers: someOf(document, of('header')),
      body: bodyOf(document, operation.requestBody),
    })
    .map(({ query, headers, body, ...rest }): Ask => {
      const asText = typeof body === 'string'
      return {
        operationId: operation.operationId,
        method,
        path,
        ...rest,
        query: Object.entries(query),
        headers: {
          ...printable(headers),
          ...(asText && { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(body !== undefined && (asText ? { text: body as string } : { body })),
      }
    })
  return fc.oneof({ weight: 6, arbitrary: good }, { weight: 4, arbitrary: good.chain(brokenAsks) })
}

const callers = fc.oneof(
  { weight: 24, arbitrary: fc.constant('admin' as const) },
  { weight: 10, arbitrary: fc.constantFrom(...CALLERS) },
)

function idsOf(path: string): fc.Arbitrary<string>[] {
  return collectionsOf(path).map(kind =>
    fc.oneof(
      { weight: 12, arbitrary: fc.nat(3).map(at => referenceTo('own', kind, at)) },
      { weight: 3, arbitrary: fc.nat(3).map(at => referenceTo('other', kind, at)) },
      { weight: 1, arbitrary: fc.uuid() },
    ),
  )
}

/** All that is required, and some of the rest; as text. */
function someOf(
  document: OpenApiDocument,
  parameters: ParameterObject[],
): fc.Arbitrary<Record<string, string>> {
  const model = Object.fromEntries(
    parameters.map(({ name, schema }) => [
      name,
      fc.oneof(
        { weight: 3, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: wordsFor(document, name, schema) },
      ),
    ]),
  )
  return fc
    .record(model)
    .map(values =>
      Object.fromEntries(
        Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
    )
}

const MEETING_STATUSES = ['scheduled', 'in_progress', 'ended', 'cancelled', 'scheduled,cancelled', 'ended,']

function wordsFor(document: OpenApiDocument, name: string, schema: SchemaObject): fc.Arbitrary<string> {
  if (name === 'If-Match')
    return fc.oneof(
      fc.nat(3).map(at => referenceTo('own', 'etags', at)),
      fc.constantFrom('*', '"0"', '"1"', 'W/"1"', '"1", "2"'),
    )
  if (name === 'Idempotency-Key')
    return fc.nat(4).map(at => `petición-${at}`.normalize('NFD').replace(/[^\w-]/g, ''))
  const given = valuesOf(document, schema, name).map(value =>
    typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
  )
  return name === 'status' ? fc.oneof(fc.constantFrom(...MEETING_STATUSES), given) : given
}

/** HTTP takes no other characters in headers. */
function printable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replaceAll(/[^\x20-\x7e§]/g, '?')]),
  )
}

function bodyOf(
  document: OpenApiDocument,
  body: DocumentedOperation['operation']['requestBody'],
): fc.Arbitrary<unknown> {
  const [entry] = Object.entries(body?.content ?? {})
  if (!entry) return fc.constant(undefined)
  const [type, { schema }] = entry
  const values = valuesOf(document, schema)
  if (type === 'application/x-www-form-urlencoded')
    return values.map(value =>
      Object.entries(resolvedForm(value))
        .map(pair => pair.map(encodeForm).join('='))
        .join('&'),
    )
  const sent = type === 'application/json' ? values : fc.string({ unit: 'grapheme' })
  return body?.required
    ? sent
    : fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 3, arbitrary: sent })
}

const resolvedForm = (value: unknown) => value as Record<string, string>

// References are filled in later, so they are left as they are.
const encodeForm = (text: string) =>
  /^§/.test(text) ? text : encodeURIComponent(String(text).toWellFormed())
