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

/**
 * How often an operation is asked for beside the others: those that cost much, or end the sequence for its caller, less;
 * a change of a meeting, which seldom gets past all that may be wrong with it, more.
 */
const WEIGHTS: Record<string, number> = {
  createMeeting: 8,
  changeMeeting: 16,
  listMeetings: 6,
  cancelMeeting: 3,
  signIn: 1,
  setPassword: 1,
  endOwnSessions: 1,
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
  const [type = ''] = Object.keys(operation.requestBody?.content ?? {})
  const good = fc
    .record({
      caller: callers,
      ids: fc.tuple(...idsOf(path)),
      query: someOf(document, of('query')),
      headers: someOf(document, of('header')),
      body: bodyOf(document, operation.requestBody),
    })
    .map(({ query, headers, body, ...rest }): Ask => {
      const asText = typeof body === 'string' && type !== 'application/json'
      return {
        operationId: operation.operationId,
        method,
        path,
        ...rest,
        query: Object.entries(query),
        headers: {
          ...printable(headers),
          ...(asText && { 'content-type': type }),
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

/** Nearly always what is required, and some of the rest; as text, by name. */
function someOf(
  document: OpenApiDocument,
  parameters: ParameterObject[],
): fc.Arbitrary<Record<string, string>> {
  const model = Object.fromEntries(
    parameters.map(({ name, schema, required, style }) => [
      style === 'deepObject' ? `${name}[sede]` : name,
      fc.oneof(
        { weight: required ? 1 : 20, arbitrary: fc.constant(undefined) },
        { weight: 6, arbitrary: wordsFor(document, name, schema) },
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
  if (name === 'customFields') return fc.constantFrom('Bogotá', '1', 'true', '', '\0')
  if (name === 'Idempotency-Key') return fc.nat(4).map(at => `peticion-${at}`)
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
  const sent =
    type === 'application/json'
      ? values
      : type === 'text/calendar'
        ? calendars
        : fc.string({ unit: 'grapheme' })
  return body?.required
    ? sent
    : fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 3, arbitrary: sent })
}

const event = (lines: string[]) => ['BEGIN:VEVENT', ...lines, 'END:VEVENT']
const lines = fc.constantFrom(
  'UID:abc@clinica.example',
  'DTSTAMP:20260101T000000Z',
  'DTSTART:20310304T150000Z',
  'DTEND:20310304T160000Z',
  'DTSTART;TZID=America/Bogota:20310304T100000',
  'DTSTART;VALUE=DATE:20310304',
  'DURATION:PT1H',
  'DURATION:-PT1H',
  'SUMMARY:Comité',
  'SUMMARY:',
  'ATTENDEE;CN=Ana:mailto:ana@clinica.example',
  'ATTENDEE:nobody',
  'RRULE:FREQ=WEEKLY;COUNT=2',
  'RRULE:FREQ=SECONDLY',
  'RECURRENCE-ID:20310304T150000Z',
  'BEGIN:VALARM',
  'X',
)
const WHOLE = [
  'UID:1@a.example',
  'DTSTAMP:20260101T000000Z',
  'DTSTART:20310304T150000Z',
  'DTEND:20310304T160000Z',
  'SUMMARY:Junta',
]
const calendars = fc
  .array(
    fc.oneof(
      fc.uuid().map(id => event([...WHOLE.slice(1), `UID:${id}`])),
      fc.array(lines, { maxLength: 12 }).map(event),
    ),
    { maxLength: 4 },
  )
  .map(events =>
    ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//x//y', ...events.flat(), 'END:VCALENDAR', ''].join('\r\n'),
  )

const resolvedForm = (value: unknown) => value as Record<string, string>

// References are filled in later, so they are left as they are.
const encodeForm = (text: string) =>
  /^§/.test(text) ? text : encodeURIComponent(String(text).toWellFormed())
