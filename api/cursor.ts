import { z } from 'zod'
import { Problem } from './problem.ts'

const positionSchema = z.tuple([z.iso.datetime(), z.uuid()])

/** The place behind a row of a list that goes by an instant, then by id. */
interface Place {
  at: Date
  id: string
}

/** A place as text that callers hand back unread. */
export function writeCursor({ at, id }: Place): string {
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
