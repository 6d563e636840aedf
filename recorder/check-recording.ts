import type { ContentChecks } from '../db/schema.ts'
import { type ContentExpectation, checkContent } from './capture/content-checks.ts'

/**
 * Looks at a finished video and gives what is stored and shown of it: its duration, and each check by name with a
 * sentence and its figures.
 */
export async function checkRecording(
  file: string,
  expected: ContentExpectation,
): Promise<{ durationMs: number; checks: ContentChecks }> {
  const { passed: _, ...found } = await checkContent(file, expected)
  const checks: ContentChecks = {}
  for (const [name, { ok, sentence, ...figures }] of Object.entries(found))
    checks[name] = { ok, detail: sentence, ...finite(figures) }
  return { durationMs: Math.round(found.duration.durationMs), checks }
}

// Perfect silence is minus infinity decibels, which JSON cannot say.
function finite(figures: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number.isFinite(value) ? value : null]),
  )
}
