import { GoogleError } from '../errors.ts'

export type Condition =
  | { field: string; operator: '=' | '>=' | '<=' | '>' | '<'; value: string }
  | { field: string; operator: 'IS NULL' }

/**
 * Reads a filter of Meet's lists: conditions on snake_case fields joined by AND, such as
 * `space.meeting_code = "abc-mnop-xyz" AND end_time IS NULL` (google-apis.md §2.5). Anything else is 400.
 */
export function readFilter(filter: string): Condition[] {
  if (filter.trim() === '') return []
  return filter.split(/\s+AND\s+/).map(part => {
    const text = part.trim()
    const open = /^([\w.]+)\s+IS\s+NULL$/.exec(text)
    if (open?.[1]) return { field: open[1], operator: 'IS NULL' }
    const [, field, operator, value] = /^([\w.]+)\s*(=|>=|<=|>|<)\s*"([^"]*)"$/.exec(text) ?? []
    if (!field || !operator || value === undefined) throw new GoogleError(400, `Invalid filter: ${text}`)
    return { field, operator: operator as '=', value }
  })
}
