import { isDeepStrictEqual } from 'node:util'
import type { Recurrence } from '../calendar/recurrence.ts'
import type { Clock } from '../clock.ts'
import type { Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingToProvision } from '../db/meeting-provisioning.ts'
import {
  ExternalIdTaken,
  findMeetingByExternalId,
  insertMeeting,
  listInvited,
  lockMeeting,
  type MeetingRow,
  type MeetingWish,
} from '../db/meetings.ts'
import { newRowId } from '../db/row-id.ts'
import type { TenantDatabase } from '../db/tenant.ts'
import { together } from '../db/together.ts'
import { asCaller, type Caller } from './caller.ts'
import { chooseHost } from './choose-host.ts'
import { refuseBadCustomFields } from './custom-fields/check.ts'
import { viewOf } from './find-meeting.ts'
import { changeOnce } from './idempotency/change-once.ts'
import { meetingTimeFaults } from './meeting-times.ts'
import { wishOfBody } from './meeting-wish.ts'
import type { NewMeetingBody } from './meetings.schema.ts'
import { Problem } from './problem.ts'
import type { MeetingProvider } from './providers/meeting-provider.ts'
import type { Provisioning } from './provisioning.ts'
import { refusedBody } from './read-input.ts'
import { readRecurrence, writeNewSeries } from './series/create-series.ts'
import { refuseUnlessDone, sendJobs, type Touched, tellAtOnce } from './tell-provider.ts'
import type { MeetingView } from './views.schema.ts'
import { meetingView } from './views.ts'

export interface MeetingDeps {
  db: TenantDatabase
  jobs: Pick<OpenJobs, 'send' | 'sendMany' | 'withdraw'>
  provider: MeetingProvider
  provisioning: Provisioning
  settings: { joinLeadSeconds: number }
  clock: Clock
  /** In whose calendar new meetings are made, unless another host is named. */
  organizer: string
  /** Is there a second bot account for redundant recordings? */
  hasSecondBot: boolean
  /** How long a request waits for Google. */
  googleLimitMs: number
}

/** A meeting, or with a recurrence a series, that somebody wants. */
export interface NewMeeting {
  wish: MeetingWish
  recurrence: Recurrence | undefined
  /** Lower-cased address of the host; undefined: the usual one. */
  organizer: string | undefined
}

/**
 * Makes a meeting: row and job first, then the provider at once. With an external id the request may be repeated after
 * a crash or a lost answer: it goes on with the row it left.
 * @throws {Problem} `external_id_taken`, `host_not_allowed`, `google_unavailable` (the row is kept and provisioned
 * later), `google_refused`
 */
export async function createMeeting(
  deps: MeetingDeps,
  caller: Caller,
  body: NewMeetingBody,
): Promise<MeetingView> {
  const { db, clock, googleLimitMs } = deps
  const { organizationId, actor } = caller
  const wanted = readNewMeeting(deps, body, clock.now())
  const newId = newRowId()
  // Only for whoever has just written it: what is returned below is kept for a repeat, which reads it anew.
  let written: MeetingToProvision | undefined
  const writing = twiceWhereTaken(isTaken =>
    changeOnce(db, caller, async tx => {
      const made = await writeMeeting(tx, deps, caller, wanted, { newId, isTaken })
      written = made.written
      return { meetingId: made.meetingId, touched: made.touched }
    }),
  )
  // Nobody else knows of it, so that it is locked while it is written: one trip less to wait for.
  const newOne = { id: newId, organizationId }
  const told = wanted.recurrence
    ? undefined
    : deps.provisioning.atOnce(newOne, actor, googleLimitMs, () => writing.then(() => written))
  const [{ meetingId, touched }, toldOfNew] = await together([writing, told])
  const outcome =
    toldOfNew && meetingId === newId
      ? toldOfNew
      : await tellAtOnce(deps, organizationId, touched, actor, googleLimitMs)
  const what = touched.seriesIds.length > 0 ? 'series' : 'meeting'
  refuseUnlessDone(outcome, meetingId, `The ${what} is kept and will be made as soon as Google allows it.`)
  const { meeting: made } = outcome
  if (made?.meeting.id !== meetingId || made.recordingStatus !== 'pending')
    return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
  return meetingView({ meeting: made.meeting, recording: { status: 'pending', ending: null } }, made.invited)
}

/** Writes in a transaction, and in another one where the external id turned out to be taken. */
export async function twiceWhereTaken<T>(write: (isTaken: boolean) => Promise<T>): Promise<T> {
  try {
    return await write(false)
  } catch (error) {
    if (!(error instanceof ExternalIdTaken)) throw error
    return await write(true)
  }
}

/** What a body asks for, judged as far as that goes without the database. @throws {Problem} those of a bad body */
export function readNewMeeting(
  { hasSecondBot }: Pick<MeetingDeps, 'hasSecondBot'>,
  body: NewMeetingBody,
  now: number,
): NewMeeting {
  const faults = meetingTimeFaults(body, now)
  const recurrence =
    faults.length === 0 && body.recurrence ? readRecurrence(body.recurrence, body) : undefined
  if (body.redundancy === 2 && !hasSecondBot)
    faults.push({
      path: 'redundancy',
      code: 'no_second_bot',
      message: 'must be 1: no second bot account is set (TESTIGO_SECOND_BOT_EMAIL)',
    })
  if (faults.length > 0) throw refusedBody(faults)
  return { wish: wishOfBody(body), recurrence, organizer: body.organizer }
}

/**
 * Writes a meeting, or a series with its meetings, and the jobs that tell the provider of it. With an external id whose
 * meeting was never finished it is that one.
 * @param how.newId its id, where it is a new meeting by itself
 * @param how.isTaken its external id is known to be taken
 * @param how.jobDelayMs how long whoever tells the provider at once is given before the jobs are due
 * @returns the meeting, or the first one of the series
 * @throws {Problem} `external_id_taken`, `host_not_allowed`, those of custom fields, `bad_recurrence`
 * @throws {ExternalIdTaken} see {@link twiceWhereTaken}
 */
export async function writeMeeting(
  tx: Transaction,
  deps: Pick<MeetingDeps, 'provider' | 'clock' | 'organizer' | 'jobs'>,
  caller: Caller,
  { wish, recurrence, organizer: wanted }: NewMeeting,
  { newId = newRowId(), isTaken, jobDelayMs }: { newId?: string; isTaken: boolean; jobDelayMs?: number },
): Promise<{
  meetingId: string
  seriesId: string | undefined
  touched: Touched
  /** The meeting as it was written, where it is a new one. */
  written?: MeetingToProvision | undefined
}> {
  const { organizationId, actor, principal } = caller
  const { provider, clock, jobs } = deps
  const send = (touched: Touched) => sendJobs(jobs, tx, touched, clock.now(), jobDelayMs)
  const organizer = await chooseHost(tx, caller, wanted, deps.organizer)
  const fieldsAreGood = () => refuseBadCustomFields(tx, organizationId, wish.customFields)
  if (recurrence) {
    await fieldsAreGood()
    const of = { organizer, provider, now: clock.now() }
    const { seriesId, meetingId } = await writeNewSeries(tx, caller, wish, recurrence, of)
    const touched = { seriesIds: [seriesId], meetingIds: [] }
    await send(touched)
    return { meetingId, seriesId, touched }
  }
  const alone = (meetingId: string) => ({ seriesIds: [], meetingIds: [meetingId] })
  if (isTaken) {
    await fieldsAreGood()
    const meetingId = await unfinishedTwin(tx, organizationId, wish, organizer)
    await send(alone(meetingId))
    return { meetingId, seriesId: undefined, touched: alone(meetingId) }
  }
  const row = {
    ...{ ...wish, id: newId, organizationId, organizer },
    ...{ provider: provider.name, eventId: provider.eventIdOf(newId), createdBy: principal },
  }
  // In one trip: what is refused undoes what was written.
  const [, inserted] = await together([
    fieldsAreGood(),
    insertMeeting(tx, row, actor, () => send(alone(newId))),
  ])
  const written = { ...inserted, recordingStatus: 'pending' as const, series: null }
  return { meetingId: newId, seriesId: undefined, touched: alone(newId), written }
}

/** The row that an earlier sending of the same request left behind; anything else with this external id refuses. */
async function unfinishedTwin(
  tx: Transaction,
  organizationId: string,
  wish: MeetingWish,
  organizer: string,
): Promise<string> {
  const externalId = wish.externalId ?? ''
  const seen = await findMeetingByExternalId(tx, organizationId, externalId)
  // Locked: it would get another job in the moment in which somebody notes that it is finished.
  const found = seen && ((await lockMeeting(tx, organizationId, seen.id)) ?? seen)
  // Somebody who sees their own meetings only is not told whose it is.
  if (!found)
    throw new Problem('external_id_taken', `The external id ${externalId} is taken. Use another external id.`)
  const unfinished = found.status === 'scheduled' && found.joinUrl === null && found.organizer === organizer
  if (unfinished && saysTheSame(found, await listInvited(tx, found.id), wish)) return found.id
  throw new Problem(
    'external_id_taken',
    `The external id ${externalId} belongs to meeting ${found.id}. Change that meeting, or use another external id.`,
    { meetingId: found.id, joinUrl: found.joinUrl },
  )
}

function saysTheSame(row: MeetingRow, invited: MeetingWish['participants'], wish: MeetingWish): boolean {
  const people = (list: MeetingWish['participants']) =>
    list.map(({ email, name, role }) => ({ email, name, role })).sort((a, b) => (a.email < b.email ? -1 : 1))
  const { participants, ...fields } = wish
  const stored = Object.fromEntries(Object.keys(fields).map(name => [name, row[name as keyof typeof fields]]))
  return isDeepStrictEqual(stored, fields) && isDeepStrictEqual(people(invited), people(participants))
}
