const DEEPEST = 32

/** Text that PostgreSQL can keep: no NUL, no half of a surrogate pair. */
export function hasPlainText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** JSON that PostgreSQL can keep and everybody can read back: plain text throughout, and not endlessly deep. */
export function isPlainData(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return hasPlainText(value)
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth >= DEEPEST) return false
  return Object.entries(value).every(([key, inner]) => hasPlainText(key) && isPlainData(inner, depth + 1))
}
