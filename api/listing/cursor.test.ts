import { createHash, randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { Problem } from '../problem.ts'
import { readListCursor, writeListCursor } from './cursor.ts'

const QUESTION = { sort: 'start' }

/** As anybody can make one who has read how. */
function forged(place: string): string {
  const seal = createHash('sha256')
    .update(JSON.stringify([place, QUESTION]))
    .digest('base64url')
    .slice(0, 16)
  return Buffer.from(seal + place).toString('base64url')
}
const reasonOf = (cursor: string) => {
  try {
    return readListCursor(cursor, QUESTION)
  } catch (error) {
    return error instanceof Problem ? error.code : error
  }
}

test('a cursor leads back to its place', () => {
  const place = { at: new Date('2026-11-23T10:00:00Z'), id: randomUUID() }
  expect(readListCursor(writeListCursor(place, QUESTION), QUESTION)).toEqual(place)
  expect(readListCursor(forged(JSON.stringify([place.at.toISOString(), place.id])), QUESTION)).toEqual(place)
})

test.each(['', '{', 'null', '[]', '["2026-11-23T10:00:00Z"]', '["gestern","x"]', '{"at":1}'])(
  'one with the right seal around what is no place is refused: %s',
  place => {
    expect(reasonOf(forged(place))).toBe('bad_cursor')
  },
)
