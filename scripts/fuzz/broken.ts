import fc from 'fast-check'
import { type Ask, collectionsOf } from './ask.ts'
import { anyJson } from './values.ts'

type Break = (ask: Ask) => fc.Arbitrary<Ask>

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A field somewhere in a body, as the names that lead to it. */
function placesIn(value: unknown, at: string[] = []): string[][] {
  if (Array.isArray(value))
    return value.slice(0, 3).flatMap((one, index) => placesIn(one, [...at, `${index}`]))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, part]) => [[...at, name], ...placesIn(part, [...at, name])])
}

function changedAt(value: unknown, [name, ...rest]: string[], change: (part: unknown) => unknown): unknown {
  if (name === undefined) return change(value)
  if (Array.isArray(value))
    return value.map((part, at) => (`${at}` === name ? changedAt(part, rest, change) : part))
  if (!isObject(value)) return value
  const copy = { ...value }
  const made = changedAt(copy[name], rest, change)
  if (made === undefined) delete copy[name]
  else copy[name] = made
  return copy
}

const atSomePlace =
  (changes: fc.Arbitrary<(part: unknown) => unknown>): Break =>
  ask => {
    const places = placesIn(ask.body)
    if (places.length === 0) return fc.constant(ask)
    return fc
      .tuple(fc.constantFrom(...places), changes)
      .map(([place, change]) => ({ ...ask, body: changedAt(ask.body, place, change) }))
  }

const dropped: Break = atSomePlace(fc.constant(() => undefined))
const replaced: Break = atSomePlace(anyJson.map(value => () => value))
const grown: Break = atSomePlace(
  fc.constantFrom(
    part => (typeof part === 'string' ? part.repeat(2000).slice(0, 40_000) : [part, part]),
    part => (typeof part === 'number' ? part * 1e6 : { inner: part }),
    part => (isObject(part) ? { ...part, unknownField: 1 } : part),
    part => (Array.isArray(part) ? Array.from({ length: 300 }, () => part[0] ?? 'x') : part),
  ),
)
const added: Break = ask =>
  fc
    .tuple(
      fc.constantFrom(
        'extra',
        '',
        'toString',
        'organizationId',
        'id',
        'status',
        'revision',
        '\0',
        'constructor',
      ),
      anyJson,
    )
    .map(([name, value]) => ({ ...ask, body: { ...(isObject(ask.body) && ask.body), [name]: value } }))

const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
const wholeBody: Break = ask =>
  fc
    .oneof(
      fc.constantFrom(
        '',
        ' ',
        '{',
        '[]',
        'null',
        '0',
        '"text"',
        '{"__proto__":{"admin":true}}',
        '{"constructor":{"prototype":{"admin":true}}}',
        '{"topic":1,"topic":2}',
        '\ufeff{}',
        '{"a":1e999}',
        '{"topic":"\\u0000"}',
        '{"topic":"\\ud800"}',
        deep(40),
        deep(5000),
        `"${'x'.repeat(270_000)}"`,
        'grant_type=client_credentials&grant_type=x',
        'a=%ZZ&b=%00',
      ),
      anyJson.map(value => JSON.stringify(value)),
    )
    .map(text => ({ ...ask, text }))

const JUNK_HEADERS: [string, string][] = [
  ['content-type', 'text/plain'],
  ['content-type', 'application/xml'],
  ['content-type', 'application/json; charset=latin1'],
  ['content-type', 'application/json; charset=nonsense'],
  ['content-type', 'application/x-www-form-urlencoded'],
  ['content-type', 'multipart/form-data'],
  ['content-type', ''],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'br'],
  ['content-encoding', 'nonsense'],
  ['accept', 'text/html'],
  ['accept-language', '*'],
  ['if-none-match', '*'],
  ['if-match', 'nonsense'],
  ['if-match', ''],
  ['if-match', '"999999999999999999999999"'],
  ['if-modified-since', 'Fri, 31 Dec 9999 23:59:59 GMT'],
  ['idempotency-key', ''],
  ['idempotency-key', 'x'.repeat(5000)],
  ['idempotency-key', '" \''],
  ['x-request-id', 'x'.repeat(3000)],
  ['x-request-id', '<b>'],
  ['x-forwarded-for', '" or 1=1'],
  ['x-http-method-override', 'DELETE'],
  ['origin', 'https://evil.example'],
  ['range', 'bytes=0-1'],
  ['authorization', 'Bearer'],
  ['authorization', 'Basic Og=='],
  ['authorization', 'Basic %%%'],
  ['authorization', `Bearer ${'x'.repeat(6000)}`],
  ['authorization', 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.'],
  ['authorization', 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x'],
  ['authorization', 'Bearer a.b.c'],
]
const junkHeader: Break = ask =>
  fc
    .constantFrom(...JUNK_HEADERS)
    .map(([name, value]) => ({ ...ask, headers: { ...ask.headers, [name]: value } }))

const JUNK_IDS = [
  'x',
  '0',
  'raw:%00',
  'raw:%E0%A4%A',
  'raw:%2e%2e',
  'raw:..%2F..%2Fmeetings',
  "' or 1=1 --",
  '00000000-0000-0000-0000-000000000000',
  'x'.repeat(3000),
  'niña',
  'null',
  'raw:a;b=c',
]
const junkId: Break = ask => {
  const count = collectionsOf(ask.path).length
  if (count === 0) return junkHeader(ask)
  return fc
    .tuple(fc.nat(count - 1), fc.constantFrom(...JUNK_IDS))
    .map(([which, junk]) => ({ ...ask, ids: ask.ids.map((id, at) => (at === which ? junk : id)) }))
}

const QUERY_NAMES = [
  'limit',
  'cursor',
  'from',
  'status',
  'unknown',
  '__proto__',
  'limit[]',
  'from[a]',
  '',
  'scope',
  'sort',
]
const QUERY_VALUES = [
  '',
  '0',
  '-1',
  '1e1',
  '99999999999999999999',
  'NaN',
  '\0',
  'a\ud83d',
  'x'.repeat(3000),
  '2031-02-30T00:00:00Z',
  'WyIyMDMxIiwieCJd',
  ',',
  '[object Object]',
]
const junkQuery: Break = ask =>
  fc
    .array(fc.tuple(fc.constantFrom(...QUERY_NAMES), fc.constantFrom(...QUERY_VALUES)), {
      minLength: 1,
      maxLength: 3,
    })
    .map(more => ({ ...ask, query: [...ask.query, ...more] }))

const otherMethod: Break = ask =>
  fc
    .constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND')
    .map(method => ({ ...ask, method }))

const otherPath: Break = ask =>
  fc
    .constantFrom('/', '/x', '//', '/../x', '%2F', '.json', '/participants', ';a', '/%6d')
    .map(end => ({ ...ask, path: `${ask.path}${end}` }))

const BREAKS: [weight: number, Break][] = [
  [4, dropped],
  [6, replaced],
  [4, grown],
  [3, added],
  [3, wholeBody],
  [4, junkHeader],
  [4, junkId],
  [4, junkQuery],
  [1, otherMethod],
  [1, otherPath],
]

/** The same request, broken in one way. What has no body is broken elsewhere. */
export function brokenAsks(ask: Ask): fc.Arbitrary<Ask> {
  const usable = BREAKS.filter(([, how]) => isObject(ask.body) || ![dropped, replaced, grown].includes(how))
  return fc.oneof(
    ...usable.map(([weight, how]) => ({ weight, arbitrary: fc.constant(null).chain(() => how(ask)) })),
  )
}
