import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { ListPosition } from '../../db/meeting-list.ts'
import { Problem } from '../problem.ts'

const SEAL_LENGTH = 16
const positionSchema = z.tuple([z.iso.datetime(), z.uuid()])

/**
 * A place in a list as text that callers hand back unread. It is good for the same question only.
 * @param question whatever the list depends on
 */
export function writeListCursor({ at, id }: ListPosition, question: unknown): string {
  const place = JSON.stringify([at.toISOString(), id])
  return Buffer.from(sealOf(place, question) + place).toString('base64url')
}

/** @throws {Problem} `bad_cursor` for anything that {@link writeListCursor} did not write for this question */
export function readListCursor(cursor: string, question: unknown): ListPosition {
  const text = Buffer.from(cursor, 'base64url').toString()
  const place = text.slice(SEAL_LENGTH)
  const sealed = text.slice(0, SEAL_LENGTH) === sealOf(place, question) && !writtenOtherwise(cursor, text)
  const position = sealed ? positionIn(place) : undefined
  if (!position)
    throw new Problem(
      'bad_cursor',
      'Take the cursor from "nextCursor" of the page before, unchanged and with the same filters and sort, or leave it away.',
    )
  return position
}

function positionIn(place: string): ListPosition | undefined {
  let written: unknown
  try {
    written = JSON.parse(place)
  } catch (error) {
    // Anybody can seal a place that none of ours is.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  const parsed = positionSchema.safeParse(written)
  return parsed.success ? { at: new Date(parsed.data[0]), id: parsed.data[1] } : undefined
}

// Not a signature: whoever makes up a place in a list of their own gains nothing by it.
function sealOf(place: string, question: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([place, question]))
    .digest('base64url')
    .slice(0, SEAL_LENGTH)
}

// Some bits of base64 and all that is not of its alphabet are read over.
const writtenOtherwise = (cursor: string, text: string) => Buffer.from(text).toString('base64url') !== cursor
