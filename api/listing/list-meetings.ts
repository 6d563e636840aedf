import { listMeetings } from '../../db/meeting-list.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'
import { readQuery } from '../read-input.ts'
import type { MeetingList } from '../views.schema.ts'
import { listedMeeting } from '../views.ts'
import { readListCursor, writeListCursor } from './cursor.ts'
import { filterOf, gatherCustomFields, listQuerySchema } from './query.ts'

/**
 * Answers `GET /v1/meetings`: one page of what the caller may see. A page goes on behind the last meeting of the one before,
 * so meetings that are made or go away meanwhile shift nothing: each one that stays where it is comes exactly once.
 * @throws {Problem} `invalid_query`, `bad_cursor`
 */
export async function listPage(
  db: TenantDatabase,
  caller: Caller,
  given: Record<string, unknown>,
): Promise<MeetingList> {
  const query = readQuery(listQuerySchema, gatherCustomFields(given))
  const { limit, cursor } = query
  const { organizationId, role } = caller
  const { filter, order } = filterOf(query)
  const question = { organizationId, filter, order }
  const after = cursor === undefined ? undefined : readListCursor(cursor, question)
  const rows = await asCaller(db, caller, tx =>
    listMeetings(tx, { ...question, after, limit: limit + 1, ownOnly: role === 'external' }),
  )
  const items = rows.slice(0, limit)
  const last = rows.length > limit ? items.at(-1)?.meeting : undefined
  return {
    items: items.map(listedMeeting),
    nextCursor: last ? writeListCursor({ at: last[order.by], id: last.id }, question) : null,
  }
}
