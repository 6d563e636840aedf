/**
 * JSON with one spelling only (RFC 8785): no white space, the names of every object sorted by their UTF-16 code units,
 * numbers and strings as `JSON.stringify` writes them. What the database or another program gives back in another order
 * then has the same hash. A `Date` becomes its ISO text, `undefined` members are left out, as in `JSON.stringify`.
 * @throws {TypeError} for what JSON cannot hold
 */
export function canonicalJson(value: unknown): string {
  const plain = JSON.stringify(value)
  if (plain === undefined) throw new TypeError('This value cannot be written as JSON')
  return spell(JSON.parse(plain))
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

function spell(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(spell).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  // Without an argument `sort` compares UTF-16 code units, which is what RFC 8785 §3.2.3 asks for.
  const names = Object.keys(value).sort()
  return `{${names.map(name => `${JSON.stringify(name)}:${spell(value[name] as Json)}`).join(',')}}`
}
