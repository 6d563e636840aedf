import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { canonicalJson } from './canonical-json.ts'

type Fields = Record<string, unknown>

/** What is different between two states of a thing, as it was and as it is. A field that is absent counts as null. */
export function changedFields(before: Fields, after: Fields): { before: Fields; after: Fields } {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const changed = names.filter(name => !isDeepStrictEqual(plain(before[name]), plain(after[name])))
  const pick = (from: Fields) => Object.fromEntries(changed.map(name => [name, plain(from[name])]))
  return { before: pick(before), after: pick(after) }
}

/**
 * Stands in the audit log for free text: nobody can take anything out of that log again, so what may hold people's names
 * or a diagnosis is not written into it. The same text has the same fingerprint.
 */
export function fingerprint(value: unknown): { sha256: string; length: number } | null {
  if (value === null || value === undefined) return null
  const text = typeof value === 'string' ? value : canonicalJson(value)
  return { sha256: createHash('sha256').update(text, 'utf8').digest('hex'), length: text.length }
}

/** Tells a text from others where it is not to be kept; as short as that allows. */
export function shortFingerprint(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function plain(value: unknown): unknown {
  return value === undefined ? null : JSON.parse(JSON.stringify(value))
}
