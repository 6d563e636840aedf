import { z } from 'zod'
import { Problem } from './problem.ts'

const positionSchema = z.tuple([z.iso.datetime(), z.uuid()])

/** The place behind a row of a list that goes by an instant, then by id. */
interface Place {
  at: Date
  id: string
}

/**
 * A page of a list that goes by `createdAt`, then by id, and the cursor to the next one.
 * @param rows one more than belong on the page, where there are more
 * @param rowOf the part of a row that has them
 */
export function pageOf<Row, View>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => View,
  rowOf: (row: Row) => { createdAt: Date; id: string },
): { items: View[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  const place = last && rowOf(last)
  return {
    items: shown.map(view),
    nextCursor: place ? writeCursor({ at: place.createdAt, id: place.id }) : null,
  }
}

/** A place as text that callers hand back unread. */
function writeCursor({ at, id }: Place): string {
  return Buffer.from(JSON.stringify([at.toISOString(), id])).toString('base64url')
}

/** @throws {Problem} `bad_cursor` for anything that {@link writeCursor} did not write */
export function readCursor(cursor: string): Place {
  const parsed = positionSchema.safeParse(parse(Buffer.from(cursor, 'base64url').toString()))
  if (!parsed.success)
    throw new Problem(
      'bad_cursor',
      'Take the cursor from "nextCursor" of the page before, unchanged, or leave it away.',
    )
  const [at, id] = parsed.data
  return { at: new Date(at), id }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
