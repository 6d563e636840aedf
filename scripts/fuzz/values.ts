import fc from 'fast-check'
import { type OpenApiDocument, resolveRef, type SchemaObject } from '../../api/openapi-document.ts'
import { referenceTo } from './ask.ts'

type Document = Pick<OpenApiDocument, 'components'>

// The same all day, so that a seed makes the same values.
const TODAY = Math.floor(Date.now() / 86_400_000) * 86_400_000

const NASTY = [
  '\0',
  'a\ud83d',
  '\u202eabc',
  '👩‍⚕️ niña ñandú',
  "' or 1=1 --",
  '<script>alert(1)</script>',
  '%00%0a',
  '%{#a}',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '-1',
  'null',
  '\r\nX-Injected: 1',
  '{{7*7}}',
  'İ',
]

const ZONES = [
  'America/Bogota',
  'UTC',
  'Europe/Madrid',
  'Asia/Kolkata',
  'Pacific/Apia',
  'america/bogota',
  'Etc/GMT+5',
]
const RULES = [
  ['RRULE:FREQ=DAILY;COUNT=3'],
  ['RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4'],
  ['RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3'],
  ['RRULE:FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3', 'EXDATE:20310331T150000Z'],
  ['RRULE:FREQ=YEARLY;COUNT=2'],
  ['RRULE:FREQ=SECONDLY'],
  ['RRULE:FREQ=DAILY;INTERVAL=0'],
  ['RRULE:FREQ=DAILY;UNTIL=20310301T000000Z'],
  ['EXDATE:20310331T150000Z'],
  ['RRULE:FREQ=DAILY;COUNT=99999999999'],
]
const CUSTOM_SCHEMAS = [
  { type: 'object', properties: { sede: { type: 'string' } } },
  { type: 'object', required: ['sede'], properties: { sede: { enum: ['Bogotá', 'Cali'] } } },
  { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } },
  { type: 'array' },
  { $ref: 'https://example.com/schema' },
  { type: 'object', patternProperties: { '(': {} } },
  {},
]
/** The first is that of the person in each organisation. */
export const PASSWORDS = ['caballo batería grapa', 'otra larga contraseña 7', 'corta', 'aaaaaaaaaaaaaaaa']
const URLS = [
  'https://127.0.0.1:9/hook',
  'http://127.0.0.1:9/x?y=1',
  'ftp://a.example',
  'https://user:pw@a.example/',
  '//x',
]

const reference = (whose: 'own' | 'other', kind: string) => fc.nat(5).map(at => referenceTo(whose, kind, at))
const ownOrOther = (kind: string) =>
  fc.oneof(
    { weight: 4, arbitrary: reference('own', kind) },
    { weight: 2, arbitrary: reference('other', kind) },
    { weight: 1, arbitrary: fc.uuid() },
  )
const email = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9).map(at => `persona${at}@clinica.example`) },
  { weight: 3, arbitrary: reference('own', 'emails') },
  { weight: 1, arbitrary: reference('other', 'emails') },
  { weight: 1, arbitrary: fc.emailAddress() },
)
const instant = fc
  .record({
    ms: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: Date.UTC(2030, 0), max: Date.UTC(2033, 0) }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: Date.UTC(9990, 0) }) },
      {
        weight: 1,
        arbitrary: fc.integer({ min: -1440, max: 400 * 1440 }).map(minutes => TODAY + minutes * 60_000),
      },
    ),
    offset: fc.constantFrom('Z', '-05:00', '+14:00', '+00:00'),
  })
  .map(({ ms, offset }) => new Date(ms).toISOString().replace(/\.\d+Z$/, offset))

/** What makes sense in a field of this name, where its schema does not tell. */
const BY_NAME: Record<string, fc.Arbitrary<unknown>> = {
  timeZone: fc.constantFrom(...ZONES),
  recurrence: fc.constantFrom(...RULES),
  reminders: fc.constantFrom(
    [],
    [{ channel: 'email', amount: 1, unit: 'days' }],
    [{ channel: 'popup', amount: 10, unit: 'minutes' }],
    [{ channel: 'email', amount: 5, unit: 'weeks' }],
  ),
  schema: fc.constantFrom(...CUSTOM_SCHEMAS),
  url: fc.constantFrom(...URLS),
  email,
  participant: email,
  host: fc.oneof({ weight: 4, arbitrary: fc.constant('agenda@clinica.example') }, email),
  organizer: email,
  password: fc.oneof({ weight: 2, arbitrary: fc.constant(PASSWORDS[0]) }, fc.constantFrom(...PASSWORDS)),
  currentPassword: fc.constantFrom(...PASSWORDS),
  newPassword: fc.constantFrom(...PASSWORDS),
  refreshToken: reference('own', 'refreshTokens'),
  token: reference('own', 'passwordTokens'),
  client_id: ownOrOther('keys'),
  client_secret: reference('own', 'keySecrets'),
  grant_type: fc.constant('client_credentials'),
  organizationId: ownOrOther('organizations'),
  cursor: fc.oneof(reference('own', 'cursors'), reference('other', 'cursors')),
  series: ownOrOther('series'),
  meetingId: ownOrOther('meetings'),
  externalId: fc.oneof(
    fc.nat(3).map(at => `XOMA-${at}`),
    reference('other', 'externalIds'),
  ),
  subject: ownOrOther('meetings').map(id => `meeting:${id}`),
  actor: ownOrOther('users').map(id => `user:${id}`),
  topic: fc.constantFrom('Comité clínico', 'Junta', 'x'),
}

const text = ({ minLength = 0, maxLength = 400 }: SchemaObject) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.string({
        unit: 'grapheme',
        minLength: Math.min(minLength, 300),
        maxLength: Math.min(maxLength, 300),
      }),
    },
    { weight: 2, arbitrary: fc.constantFrom(...NASTY).map(word => word.slice(0, maxLength)) },
    { weight: 1, arbitrary: fc.constant('x'.repeat(Math.min(maxLength, 20_000))) },
  )

/** Any JSON at all. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, '', [], {}, [[]], { a: null }, [null]),
  fc.constantFrom(...NASTY),
  fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' }),
)

/** Values as a schema of the document wants them, the edges of what it allows among them. */
export function valuesOf(document: Document, schema: SchemaObject, name = ''): fc.Arbitrary<unknown> {
  const meant = resolveRef<SchemaObject>(document, schema)
  const { example, default: fallback } = meant
  const known = BY_NAME[name]
  return fc.oneof(
    { weight: known ? 2 : 12, arbitrary: ofSchema(document, meant) },
    { weight: known ? 12 : 0, arbitrary: known ?? fc.constant(null) },
    { weight: example === undefined ? 0 : 2, arbitrary: fc.constant(example) },
    { weight: fallback === undefined ? 0 : 1, arbitrary: fc.constant(fallback) },
  )
}

function ofSchema(document: Document, schema: SchemaObject): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(choice => valuesOf(document, choice)))
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? 'any']
  return fc.oneof(...types.map(type => ofType(document, schema, type)))
}

function ofType(document: Document, schema: SchemaObject, type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'object':
      return ofObject(document, schema)
    case 'array':
      return fc.array(valuesOf(document, schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 20, 20),
      })
    case 'string':
      return ofString(schema)
    case 'integer':
      return fc.integer(edges(schema))
    case 'number':
      return fc.oneof(fc.integer(edges(schema)), fc.double({ ...edges(schema), noNaN: true }))
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return anyJson
  }
}

const edges = ({ minimum = -1000, maximum = 2 ** 31 }: SchemaObject) => ({
  min: Math.max(minimum, -(2 ** 53) + 1),
  max: Math.min(maximum, 2 ** 53 - 1),
})

function ofString(schema: SchemaObject): fc.Arbitrary<string> {
  if (schema.format === 'date-time') return instant
  if (schema.format === 'uuid') return fc.uuid()
  if (schema.format === 'email') return email
  return text(schema)
}

function ofObject(document: Document, schema: SchemaObject): fc.Arbitrary<unknown> {
  const { properties, required = [] } = schema
  if (!properties) return fc.dictionary(fc.string({ maxLength: 20 }), anyJson, { maxKeys: 5 })
  const model = Object.fromEntries(
    Object.entries(properties).map(([name, part]) => [name, valuesOf(document, part, name)]),
  )
  // With half of all optional fields, nearly every request would have one that is refused.
  const wanted = Object.entries(model).map(([name, values]) => {
    const weight = required.includes(name) ? 0 : 3
    return [name, fc.oneof({ weight: 2, arbitrary: values }, { weight, arbitrary: fc.constant(undefined) })]
  })
  const made = fc
    .record<Record<string, unknown>>(Object.fromEntries(wanted))
    .map(body => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)))
  return properties.start && properties.end ? made.chain(body => withTimes(body)) : made
}

const times = fc.record({
  inMinutes: fc.integer({ min: -1440, max: 500_000 }),
  minutes: fc.integer({ min: 1, max: 1440 }),
})

/** Two instants that were made apart are in order half of the time only. */
function withTimes(body: Record<string, unknown>): fc.Arbitrary<unknown> {
  const mended = times.map(({ inMinutes, minutes }) => {
    const start = TODAY + inMinutes * 60_000
    const at = (ms: number) => new Date(ms).toISOString()
    return {
      ...body,
      ...('start' in body && { start: at(start) }),
      ...('end' in body && { end: at(start + minutes * 60_000) }),
    }
  })
  return fc.oneof({ weight: 1, arbitrary: fc.constant(body) }, { weight: 8, arbitrary: mended })
}
