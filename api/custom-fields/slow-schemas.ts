/** Whose schemas took too long, and how often of late. */
export interface SlowSchemas {
  /** Notes that one was cut off. @param now milliseconds of any clock that never goes back */
  note(organizationId: string, now: number): void
  /** Whether nothing more of theirs is tried for now. */
  isTooOften(organizationId: string, now: number): boolean
}

const MOST_IN_A_WHILE = 5
const WHILE_MS = 60_000

/**
 * Counts by organisation what of its JSON Schemas had to be cut off: nobody else is answered while one is at work, so an
 * organisation is given a few such times a minute, and after these its next ones are refused untried.
 */
export function openSlowSchemas(): SlowSchemas {
  const times = new Map<string, number[]>()
  const recent = (organizationId: string, now: number) =>
    (times.get(organizationId) ?? []).filter(at => now - at < WHILE_MS)
  return {
    note(organizationId, now) {
      for (const id of [...times.keys()]) if (recent(id, now).length === 0) times.delete(id)
      times.set(organizationId, [...recent(organizationId, now), now])
    },
    isTooOften: (organizationId, now) => recent(organizationId, now).length >= MOST_IN_A_WHILE,
  }
}

/** Of this process. */
export const slowSchemas = openSlowSchemas()
