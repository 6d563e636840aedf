import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Recurrence } from '../calendar/recurrence.ts'
import type { Clock } from '../clock.ts'
import type { Queryable, Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingToProvision } from '../db/meeting-provisioning.ts'
import {
  findMeetingByExternalId,
  insertMeeting,
  listInvited,
  type MeetingRow,
  type MeetingWish,
} from '../db/meetings.ts'
import type { TenantDatabase } from '../db/tenant.ts'
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
  const { db, clock } = deps
  const { organizationId, actor } = caller
  // Only for whoever has just written it: what is returned below is kept for a repeat, which reads it anew.
  let written: MeetingToProvision | undefined
  const { meetingId, touched } = await changeOnce(db, caller, async tx => {
    const made = await writeMeeting(tx, deps, caller, readNewMeeting(deps, body, clock.now()))
    await sendJobs(deps.jobs, tx, made.touched, clock.now())
    written = made.written
    return { meetingId: made.meetingId, touched: made.touched }
  })
  const outcome = await tellAtOnce(deps, organizationId, touched, actor, deps.googleLimitMs, written)
  const what = touched.seriesIds.length > 0 ? 'series' : 'meeting'
  refuseUnlessDone(outcome, meetingId, `The ${what} is kept and will be made as soon as Google allows it.`)
  const { meeting: made } = outcome
  if (made?.meeting.id !== meetingId || made.recordingStatus !== 'pending')
    return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
  return meetingView({ meeting: made.meeting, recording: { status: 'pending', ending: null } }, made.invited)
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
 * Writes a meeting, or a series with its meetings. Nobody is told of it yet; what has to be told goes with
 * {@link sendJobs}. With an external id whose meeting was never finished it is that one.
 * @returns the meeting, or the first one of the series
 * @throws {Problem} `external_id_taken`, `host_not_allowed`, those of custom fields, `bad_recurrence`
 */
export async function writeMeeting(
  tx: Transaction,
  deps: Pick<MeetingDeps, 'provider' | 'clock' | 'organizer'>,
  caller: Caller,
  { wish, recurrence, organizer: wanted }: NewMeeting,
): Promise<{
  meetingId: string
  seriesId: string | undefined
  touched: Touched
  /** The meeting as it was written, where it is a new one. */
  written?: MeetingToProvision | undefined
}> {
  const { organizationId, actor, principal } = caller
  const { provider } = deps
  const organizer = await chooseHost(tx, caller, wanted, deps.organizer)
  await refuseBadCustomFields(tx, organizationId, wish.customFields)
  if (recurrence) {
    const of = { organizer, provider, now: deps.clock.now() }
    const { seriesId, meetingId } = await writeNewSeries(tx, caller, wish, recurrence, of)
    return { meetingId, seriesId, touched: { seriesIds: [seriesId], meetingIds: [] } }
  }
  const id = randomUUID()
  const row = {
    ...wish,
    id,
    organizationId,
    organizer,
    provider: provider.name,
    eventId: provider.eventIdOf(id),
    createdBy: principal,
  }
  const inserted = await insertMeeting(tx, row, actor)
  const written = inserted && { ...inserted, recordingStatus: 'pending' as const, series: null }
  const meetingId = written ? id : await unfinishedTwin(tx, organizationId, wish, organizer)
  return { meetingId, seriesId: undefined, touched: { seriesIds: [], meetingIds: [meetingId] }, written }
}

/** The row that an earlier sending of the same request left behind; anything else with this external id refuses. */
async function unfinishedTwin(
  db: Queryable,
  organizationId: string,
  wish: MeetingWish,
  organizer: string,
): Promise<string> {
  const externalId = wish.externalId ?? ''
  const found = await findMeetingByExternalId(db, organizationId, externalId)
  // Somebody who sees their own meetings only is not told whose it is.
  if (!found)
    throw new Problem('external_id_taken', `The external id ${externalId} is taken. Use another external id.`)
  const unfinished = found.status === 'scheduled' && found.joinUrl === null && found.organizer === organizer
  if (unfinished && saysTheSame(found, await listInvited(db, found.id), wish)) return found.id
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
