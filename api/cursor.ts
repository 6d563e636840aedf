import { z } from 'zod'
import type { ListPosition } from '../db/meeting-view.ts'
import { Problem } from './problem.ts'

const positionSchema = z.tuple([z.iso.datetime(), z.uuid()])

/** The place behind a meeting, as text that callers hand back unread. */
export function writeCursor({ startsAt, id }: ListPosition): string {
  return Buffer.from(JSON.stringify([startsAt.toISOString(), id])).toString('base64url')
}

/** @throws {Problem} `bad_cursor` for anything that {@link writeCursor} did not write */
export function readCursor(cursor: string): ListPosition {
  const parsed = positionSchema.safeParse(parse(Buffer.from(cursor, 'base64url').toString()))
  if (!parsed.success)
    throw new Problem(
      'bad_cursor',
      'Take the cursor from "nextCursor" of the page before, unchanged, or leave it away.',
    )
  const [startsAt, id] = parsed.data
  return { startsAt: new Date(startsAt), id }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
