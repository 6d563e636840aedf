import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Recurrence } from '../calendar/recurrence.ts'
import type { Clock } from '../clock.ts'
import type { Queryable, Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { showMeeting } from '../db/meeting-view.ts'
import {
  cancelMeeting,
  changeMeeting,
  findMeetingByExternalId,
  insertMeeting,
  listInvited,
  lockMeeting,
  type MeetingRow,
  type MeetingWish,
} from '../db/meetings.ts'
import { addException, lockSeries, noteOwnFields, type SeriesRow } from '../db/series.ts'
import type { TenantDatabase } from '../db/tenant.ts'
import { eventIdFor } from '../google/event-body.ts'
import { asCaller, type Caller } from './caller.ts'
import { customFieldFaults } from './custom-fields/check.ts'
import { meetingTimeFaults } from './meeting-times.ts'
import type { ChangeScope, MeetingChangeBody, NewMeetingBody } from './meetings.schema.ts'
import { Problem } from './problem.ts'
import { JOB_DELAY_MS, type Provisioning, type ProvisionOutcome } from './provisioning.ts'
import { refusedBody } from './read-input.ts'
import { cancelManyMeetings, changeManyMeetings, type Touched } from './series/change-series.ts'
import { readRecurrence, writeNewSeries } from './series/create-series.ts'
import type { MeetingView } from './views.schema.ts'
import { meetingView } from './views.ts'

export interface MeetingDeps {
  db: TenantDatabase
  jobs: Pick<OpenJobs, 'send' | 'withdraw'>
  provisioning: Provisioning
  clock: Clock
  /** In whose calendar new meetings are made. */
  organizer: string
  /** Is there a second bot account for redundant recordings? */
  hasSecondBot: boolean
  /** How long a request waits for Google. */
  googleLimitMs: number
}

// An answer to a cancellation does not depend on Google, so it does not wait for one that is slow.
const CANCEL_WAITS_FOR_GOOGLE_MS = 3000

/**
 * Makes a meeting: row and job first, then Google at once. With an external id the request may be repeated after a
 * crash or a lost answer: it goes on with the row it left.
 * @throws {Problem} `external_id_taken`, `google_unavailable` (the row is kept and provisioned later), `google_refused`
 */
export async function createMeeting(
  deps: MeetingDeps,
  caller: Caller,
  body: NewMeetingBody,
): Promise<MeetingView> {
  const { db, jobs, clock } = deps
  const { organizationId, actor } = caller
  const now = clock.now()
  const faults = meetingTimeFaults(body, now)
  const recurrence =
    faults.length === 0 && body.recurrence ? readRecurrence(body.recurrence, body) : undefined
  if (body.redundancy === 2 && !deps.hasSecondBot)
    faults.push({
      path: 'redundancy',
      code: 'no_second_bot',
      message: 'must be 1: no second bot account is set (TESTIGO_SECOND_BOT_EMAIL)',
    })
  if (faults.length > 0) throw refusedBody(faults)
  const id = randomUUID()
  const wish = wishOf(body)
  if (recurrence) return createSeries(deps, caller, wish, recurrence)
  const inserted = await asCaller(db, caller, async tx => {
    await refuseBadCustomFields(tx, organizationId, wish.customFields)
    const { organizer } = deps
    const row = {
      ...wish,
      id,
      organizationId,
      organizer,
      eventId: eventIdFor(id),
      createdBy: caller.principal,
    }
    if (!(await insertMeeting(tx, row, actor))) return false
    await sendProvisionJob(jobs, tx, id, now)
    return true
  })
  const meetingId = inserted ? id : await asCaller(db, caller, tx => unfinishedTwin(tx, organizationId, wish))
  const outcome = await deps.provisioning.atOnce({ id: meetingId, organizationId }, actor, deps.googleLimitMs)
  refuseUnlessDone(outcome, meetingId, 'The meeting is kept and will be made as soon as Google allows it.')
  return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
}

/**
 * Changes a meeting; event and bot follow.
 * @throws {Problem} `meeting_not_found`, `meeting_closed`, `meeting_in_progress`, those of a bad body, `google_*`
 */
export async function updateMeeting(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  body: MeetingChangeBody,
  scope: ChangeScope = 'one',
): Promise<MeetingView> {
  const { db, jobs, clock } = deps
  const { organizationId, actor } = caller
  const now = clock.now()
  if (Object.values(body).every(value => value === undefined))
    throw new Problem('invalid_request', 'Name at least one field to change.')
  if (scope === 'one' && body.recurrence)
    throw refusedBody([
      { path: 'recurrence', code: 'invalid_field', message: 'needs the scope following or all' },
    ])
  const touched = await asCaller(db, caller, async tx => {
    const series = scope === 'one' ? undefined : await lockedSeries(tx, organizationId, meetingId)
    const meeting = await locked(tx, organizationId, meetingId)
    refuseClosed(meeting)
    if (body.customFields !== undefined) await refuseBadCustomFields(tx, organizationId, body.customFields)
    const { start, end, participants, recurrence, ...texts } = body
    if (meeting.status === 'in_progress' && start && start.getTime() !== meeting.startsAt.getTime())
      throw new Problem('meeting_in_progress', 'The call has begun: its start cannot be changed any more.', {
        meetingId,
      })
    const times = { start: start ?? meeting.startsAt, end: end ?? meeting.endsAt }
    const faults = start || end ? meetingTimeFaults(times, now) : []
    if (faults.length > 0) throw refusedBody(faults)
    const change = {
      ...given(texts),
      ...given({ startsAt: start, endsAt: end, participants: participants && invitedOf(participants) }),
    }
    if (series && scope !== 'one') {
      const { startsAt: _, endsAt: __, timeZone, ...fields } = change
      const wish = { scope, start, end, timeZone, recurrence, fields }
      const many = await changeManyMeetings({ tx, jobs, actor, now }, series, meeting, wish)
      await sendJobs(jobs, tx, many, now)
      return many
    }
    await changeMeeting(tx, meeting, change, { actor: actor, now: new Date(now) })
    if (meeting.seriesId !== null) await noteOwnFields(tx, meeting, Object.keys(change))
    await sendProvisionJob(jobs, tx, meetingId, now)
    return { seriesIds: [], meetingIds: [meetingId] }
  })
  const outcome = await tellOf(deps, organizationId, touched, actor, deps.googleLimitMs)
  refuseUnlessDone(outcome, meetingId, 'The change is kept and Google will follow as soon as it can.')
  return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
}

/**
 * Cancels a meeting: no bot comes, and one that is in the call leaves. Guests are told by Google, at once or as soon as
 * it answers. Cancelling twice is the same as once.
 * @throws {Problem} `meeting_not_found`, `meeting_closed` for a meeting that is over
 */
export async function withdrawMeeting(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  scope: ChangeScope = 'one',
): Promise<void> {
  const { db, jobs, clock } = deps
  const { organizationId, actor } = caller
  const now = clock.now()
  const touched = await asCaller(db, caller, async tx => {
    const find = scope === 'one' ? seriesOf : lockedSeries
    const series = await find(tx, organizationId, meetingId)
    const meeting = await locked(tx, organizationId, meetingId)
    if (meeting.status === 'cancelled') return undefined
    refuseClosed(meeting)
    if (series && scope !== 'one') {
      const many = await cancelManyMeetings({ tx, jobs, actor, now }, series, meeting, scope)
      await sendJobs(jobs, tx, many, now)
      return many
    }
    const by = { actor: actor, now: new Date(now) }
    const { recordingCancelled } = await cancelMeeting(tx, meeting, by)
    // Where recording has begun, its job stays: whoever works on it sees the cancellation and keeps what there is.
    if (recordingCancelled) await jobs.withdraw(tx, 'record-meeting', meetingId)
    if (series && meeting.originalStart) await addException(tx, series, meeting.originalStart)
    await sendProvisionJob(jobs, tx, meetingId, now)
    return { seriesIds: [], meetingIds: [meetingId] }
  })
  if (touched) await tellOf(deps, organizationId, touched, actor, CANCEL_WAITS_FOR_GOOGLE_MS)
}

async function createSeries(
  deps: MeetingDeps,
  caller: Caller,
  wish: MeetingWish,
  recurrence: Recurrence,
): Promise<MeetingView> {
  const { db, jobs, organizer } = deps
  const { organizationId, actor } = caller
  const now = deps.clock.now()
  const { seriesId, meetingId } = await asCaller(db, caller, async tx => {
    await refuseBadCustomFields(tx, organizationId, wish.customFields)
    const made = await writeNewSeries(tx, caller, wish, recurrence, { organizer, now })
    await sendJobs(jobs, tx, { seriesIds: [made.seriesId], meetingIds: [] }, now)
    return made
  })
  const outcome = await deps.provisioning.seriesAtOnce({ id: seriesId }, actor, deps.googleLimitMs)
  refuseUnlessDone(outcome, meetingId, 'The series is kept and will be made as soon as Google allows it.')
  return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
}

async function refuseBadCustomFields(
  tx: Queryable,
  organizationId: string,
  customFields: Record<string, unknown> | null,
): Promise<void> {
  const faults = await customFieldFaults(tx, organizationId, customFields)
  if (faults.length > 0) throw refusedBody(faults)
}

/** The series of a meeting, locked: always before the meeting, so that nobody waits in a circle. */
async function seriesOf(
  tx: Transaction,
  organizationId: string,
  meetingId: string,
): Promise<SeriesRow | undefined> {
  const shown = await showMeeting(tx, organizationId, meetingId)
  const seriesId = shown?.meeting.seriesId
  return seriesId ? lockSeries(tx, seriesId) : undefined
}

async function lockedSeries(tx: Transaction, organizationId: string, meetingId: string): Promise<SeriesRow> {
  const series = await seriesOf(tx, organizationId, meetingId)
  if (series) return series
  // Somebody else's meeting, or none: said before anything else.
  await locked(tx, organizationId, meetingId)
  throw notInSeries(meetingId)
}

function notInSeries(meetingId: string): Problem {
  return new Problem('not_in_series', 'This meeting belongs to no series. Leave the scope away.', {
    meetingId,
  })
}

/** Tells Google of series first, then of meetings that differ from theirs, all within the limit. */
async function tellOf(
  { provisioning, clock }: MeetingDeps,
  organizationId: string,
  { seriesIds, meetingIds }: Touched,
  actor: string,
  limitMs: number,
): Promise<ProvisionOutcome> {
  const end = clock.now() + limitMs
  const left = () => Math.max(1, end - clock.now())
  for (const id of seriesIds) {
    const outcome = await provisioning.seriesAtOnce({ id }, actor, left())
    if (outcome.kind !== 'done') return outcome
  }
  for (const id of meetingIds) {
    const outcome = await provisioning.atOnce({ id, organizationId }, actor, left())
    if (outcome.kind !== 'done') return outcome
  }
  return { kind: 'done' }
}

/** One meeting as its owner sees it. @throws {Problem} `meeting_not_found` */
export async function viewOf(db: Queryable, organizationId: string, meetingId: string): Promise<MeetingView> {
  const row = await showMeeting(db, organizationId, meetingId)
  if (!row) throw noSuchMeeting()
  return meetingView(row, await listInvited(db, meetingId))
}

/** Also the answer for a meeting of another organisation: whether it exists is not the caller's to know. */
export function noSuchMeeting(): Problem {
  return new Problem('meeting_not_found', 'Your organisation has no meeting with this id.')
}

/** One meeting of the caller's to change. @throws {Problem} `meeting_not_found`, `meeting_not_yours` */
async function locked(tx: Transaction, organizationId: string, meetingId: string): Promise<MeetingRow> {
  const meeting = await lockMeeting(tx, organizationId, meetingId)
  if (meeting) return meeting
  // Shown, and still not to be changed: somebody invited them to it.
  if (await showMeeting(tx, organizationId, meetingId))
    throw new Problem('meeting_not_yours', 'You may see this meeting. Only whoever made it may change it.', {
      meetingId,
    })
  throw noSuchMeeting()
}

/** The row that an earlier sending of the same request left behind; anything else with this external id refuses. */
async function unfinishedTwin(db: Queryable, organizationId: string, wish: MeetingWish): Promise<string> {
  const externalId = wish.externalId ?? ''
  const found = await findMeetingByExternalId(db, organizationId, externalId)
  // Somebody who sees their own meetings only is not told whose it is.
  if (!found)
    throw new Problem('external_id_taken', `The external id ${externalId} is taken. Use another external id.`)
  const unfinished = found.status === 'scheduled' && found.joinUrl === null
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

function wishOf(body: NewMeetingBody): MeetingWish {
  return {
    topic: body.topic,
    description: body.description ?? null,
    startsAt: body.start,
    endsAt: body.end,
    timeZone: body.timeZone,
    externalId: body.externalId ?? null,
    relatedType: body.related?.type ?? null,
    relatedId: body.related?.id ?? null,
    // As the row will give it back, so that a repeat of the request can be told from another request.
    customFields: body.customFields ? JSON.parse(JSON.stringify(body.customFields)) : null,
    patience: body.patience ? given(body.patience) : {},
    redundancy: body.redundancy,
    reminders: body.reminders,
    participants: invitedOf(body.participants),
  }
}

function invitedOf(people: NewMeetingBody['participants']): MeetingWish['participants'] {
  return people.map(({ email, name, role }) => ({ email, name: name ?? null, role }))
}

/** Without the fields that are undefined. */
function given<Fields extends object>(fields: Fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>
  }
}

function refuseClosed(meeting: MeetingRow): void {
  if (meeting.status === 'cancelled' || meeting.status === 'ended')
    throw new Problem(
      'meeting_closed',
      meeting.status === 'cancelled'
        ? 'The meeting was cancelled. Make a new one.'
        : 'The meeting is over. Make a new one.',
      { meetingId: meeting.id },
    )
}

function refuseUnlessDone(outcome: ProvisionOutcome, meetingId: string, kept: string): void {
  if (outcome.kind === 'done') return
  const headers = { Location: `/v1/meetings/${meetingId}` }
  if (outcome.kind === 'refused')
    throw new Problem(
      'google_refused',
      `${outcome.fault.message} ${kept}`,
      { meetingId, headers },
      { cause: outcome.fault },
    )
  const { retryAfterSeconds } = outcome
  throw new Problem('google_unavailable', `Google does not answer. ${kept}`, {
    meetingId,
    retryAfterSeconds,
    headers,
  })
}

async function sendJobs(
  jobs: MeetingDeps['jobs'],
  tx: Transaction,
  { seriesIds, meetingIds }: Touched,
  now: number,
): Promise<void> {
  const startAfter = new Date(now + JOB_DELAY_MS)
  for (const seriesId of seriesIds)
    await jobs.send(tx, 'provision-series', { seriesId }, { key: seriesId, startAfter })
  for (const meetingId of meetingIds) await sendProvisionJob(jobs, tx, meetingId, now)
}

function sendProvisionJob(
  jobs: MeetingDeps['jobs'],
  tx: Parameters<OpenJobs['send']>[0],
  meetingId: string,
  now: number,
): Promise<void> {
  const startAfter = new Date(now + JOB_DELAY_MS)
  return jobs.send(tx, 'provision-meeting', { meetingId }, { key: meetingId, startAfter })
}
