import { IcsRefused } from '../../calendar/ics-blocks.ts'
import { type IcsImport, type IcsWish, readIcs } from '../../calendar/ics-import.ts'
import { writeRecurrence } from '../../calendar/recurrence.ts'
import { asCaller, type Caller } from '../caller.ts'
import { type MeetingDeps, twiceWhereTaken } from '../meetings.ts'
import { Problem } from '../problem.ts'
import { TookTooLong, withinTime } from '../time-limit.ts'
import { importCancellation } from './import-cancellation.ts'
import { importChange, importWish } from './import-wish.ts'
import type { ImportResult, ImportView } from './schema.ts'

/** What an event of a file came to. */
export type Imported = Partial<Pick<ImportResult, 'meetingId' | 'seriesId'>> &
  Pick<ImportResult, 'outcome'> & { meetings?: number }

const MOST_MEETINGS = 2000
// Nobody else is answered meanwhile.
const READ_LIMIT_MS = 2000

/**
 * Makes meetings of the events of an ICS file, changes those that it made before, and cancels those that the file takes
 * back. Each event is written wholly or not at all, and one that is refused leaves the others alone. The calendar is told
 * afterwards, by jobs: the answer does not wait for it. A file may be sent again: what is as it says is left alone.
 * @throws {Problem} `ics_refused` for a file that cannot be read at all
 */
export async function importIcs(deps: MeetingDeps, caller: Caller, file: Uint8Array): Promise<ImportView> {
  const found = read(file)
  const results: ImportResult[] = found.refused.map(({ uid, reason, message }) =>
    resultOf({ uid }, { outcome: 'refused' }, { reason, message }),
  )
  let room = MOST_MEETINGS
  const note = async (
    about: { uid: string; originalStart?: Date | undefined },
    work: () => Promise<Imported>,
  ) => {
    const done = await refusable(room, work)
    room -= done.imported.meetings ?? 0
    results.push(resultOf(about, done.imported, done.refusal))
    return done.refusal
  }
  for (const wish of found.wishes) {
    const refusal = await note(wish, () =>
      twiceWhereTaken(isTaken =>
        asCaller(deps.db, caller, tx => importWish(tx, deps, caller, plain(wish), isTaken)),
      ),
    )
    // What differs from a series that is refused is refused with it.
    for (const change of wish.changes)
      if (refusal) results.push(resultOf(change, { outcome: 'refused' }, refusal))
      else await note(change, () => asCaller(deps.db, caller, tx => importChange(tx, deps, caller, change)))
  }
  for (const change of found.changes)
    await note(change, () => asCaller(deps.db, caller, tx => importChange(tx, deps, caller, change)))
  for (const one of found.cancellations)
    await note(one, () => asCaller(deps.db, caller, tx => importCancellation(tx, deps, caller, one)))
  const count = (wanted: ImportResult['outcome']) =>
    results.filter(({ outcome }) => outcome === wanted).length
  return {
    created: count('created'),
    updated: count('updated'),
    unchanged: count('unchanged'),
    cancelled: count('cancelled'),
    refused: count('refused'),
    results,
  }
}

function read(file: Uint8Array): IcsImport {
  try {
    return withinTime(READ_LIMIT_MS, () => readIcs(file))
  } catch (error) {
    if (error instanceof TookTooLong)
      throw new Problem(
        'ics_refused',
        'The file takes too long to read: its series have too many exceptions. Send it in parts.',
        {},
        { cause: error },
      )
    if (error instanceof IcsRefused) throw new Problem('ics_refused', error.message, {}, { cause: error })
    throw error
  }
}

function plain({ recurrence, changes: _, ...wish }: IcsWish) {
  return { ...wish, recurrence: recurrence && writeRecurrence(recurrence) }
}

type Refusal = Pick<ImportResult, 'reason' | 'message'>

async function refusable(
  room: number,
  work: () => Promise<Imported>,
): Promise<{ imported: Imported; refusal?: Refusal }> {
  if (room <= 0)
    return {
      imported: { outcome: 'refused' },
      refusal: {
        reason: 'too_many_meetings',
        message: `One file makes about ${MOST_MEETINGS} meetings, those of series counted. Send the rest again in another one.`,
      },
    }
  try {
    return { imported: await work() }
  } catch (error) {
    // What is not the file's fault is for the whole request to say; what was written before stays, and may be sent again.
    if (!(error instanceof Problem) || error.status >= 500) throw error
    const { code, message, extras } = error
    return {
      imported: { outcome: 'refused', meetingId: extras.meetingId ?? null },
      refusal: { reason: code, message },
    }
  }
}

function resultOf(
  { uid, originalStart }: { uid: string | null; originalStart?: Date | undefined },
  { outcome, meetingId = null, seriesId = null }: Imported,
  { reason, message }: Refusal = { reason: null, message: null },
): ImportResult {
  return {
    uid,
    originalStart: originalStart?.toISOString() ?? null,
    outcome,
    meetingId,
    seriesId,
    reason,
    message,
  }
}
