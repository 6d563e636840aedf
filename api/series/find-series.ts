import { z } from 'zod'
import { Problem } from '../problem.ts'

/** Also the answer for a series of another organisation. */
export function noSuchSeries(): Problem {
  return new Problem('series_not_found', 'Your organisation has no series with this id.')
}

/** The series of an address. @throws {Problem} `series_not_found` for what is no id at all */
export function seriesIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchSeries()
  return parsed.data
}
