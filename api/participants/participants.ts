import type { Queryable, Transaction } from '../../db/connect.ts'
import { listPresences, showMeeting } from '../../db/meeting-view.ts'
import { type Invited, listInvited, type ParticipantRow } from '../../db/meetings.ts'
import { asCaller, type Caller } from '../caller.ts'
import { applyChange } from '../change-meeting.ts'
import { noSuchMeeting } from '../find-meeting.ts'
import { changeOnce } from '../idempotency/change-once.ts'
import { type ChangeScope, MOST_PARTICIPANTS } from '../meetings.schema.ts'
import type { MeetingDeps } from '../meetings.ts'
import { Problem } from '../problem.ts'
import { refusedBody } from '../read-input.ts'
import type { PeopleChange } from '../series/change-series.ts'
import { refuseUnlessDone, sendJobs, type Touched, tellAtOnce } from '../tell-provider.ts'
import { type IfMatch, refuseOtherVersion } from '../versions/if-match.ts'
import type { ParticipantsView, ParticipantView } from '../views.schema.ts'
import { participantsView } from '../views.ts'
import type { NewParticipantBody, ParticipantChangeBody } from './schema.ts'

/** Who is invited, and who was there. @throws {Problem} `meeting_not_found` */
export async function showParticipants(
  db: Queryable,
  organizationId: string,
  meetingId: string,
): Promise<ParticipantsView> {
  if (!(await showMeeting(db, organizationId, meetingId))) throw noSuchMeeting()
  const invited = await listInvited(db, meetingId)
  return participantsView(invited, await listPresences(db, organizationId, meetingId))
}

/** @throws {Problem} `meeting_not_found`, `participant_not_found` */
export async function showParticipant(
  db: Queryable,
  organizationId: string,
  meetingId: string,
  participantId: string,
): Promise<ParticipantView> {
  const { invited } = await showParticipants(db, organizationId, meetingId)
  const found = invited.find(({ id }) => id === participantId)
  if (!found) throw noSuchParticipant()
  return found
}

/**
 * Invites somebody; the calendar follows as with any change of the meeting. With a scope also to others of the series,
 * those that have a list of their own among them; who is invited to one of them already stays so.
 * @throws {Problem} `participant_exists` (to this one meeting), `too_many_participants`, those of a change
 */
export async function addParticipant(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  body: NewParticipantBody,
  scope: ChangeScope,
): Promise<ParticipantView> {
  const added: Invited = { email: body.email, name: body.name ?? null, role: body.role }
  const people: PeopleChange = present => {
    if (present.some(({ email }) => email === added.email)) {
      if (scope === 'one')
        throw new Problem(
          'participant_exists',
          `${added.email} is invited to this meeting. Change what you find in GET …/participants.`,
          { meetingId },
        )
      return plain(present)
    }
    if (present.length >= MOST_PARTICIPANTS)
      throw refusedBody([
        {
          path: 'email',
          code: 'too_many_participants',
          message: `cannot be added: ${MOST_PARTICIPANTS} people are invited already`,
        },
      ])
    return [...plain(present), added]
  }
  const { participantId } = await changePeople(deps, caller, meetingId, scope, tx =>
    Promise.resolve({ people, id: async () => (await invitedByEmail(tx, meetingId, added.email))?.id }),
  )
  return asCaller(deps.db, caller, tx =>
    showParticipant(tx, caller.organizationId, meetingId, participantId ?? ''),
  )
}

/**
 * Changes somebody's name or role; with a scope also in others of the series, where they are known by their address.
 * @param ifMatch the versions of them in this one meeting, whatever the scope
 * @throws {Problem} `participant_not_found`, `version_changed`, those of a change
 */
export async function changeParticipant(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  participantId: string,
  body: ParticipantChangeBody,
  scope: ChangeScope,
  ifMatch?: IfMatch,
): Promise<ParticipantView> {
  const { name, role } = body
  if (name === undefined && role === undefined)
    throw new Problem('invalid_request', 'Name at least one field to change.')
  const changed = (person: Invited): Invited => ({
    ...person,
    ...(name !== undefined && { name }),
    ...(role !== undefined && { role }),
  })
  await changePeople(deps, caller, meetingId, scope, async tx => {
    const { email } = await wantedParticipant(tx, caller, meetingId, participantId)
    return {
      people: present => plain(present).map(person => (person.email === email ? changed(person) : person)),
      checkVersion: () => refuseOtherParticipant(tx, caller, meetingId, participantId, ifMatch),
    }
  })
  return asCaller(deps.db, caller, tx => showParticipant(tx, caller.organizationId, meetingId, participantId))
}

/**
 * Takes somebody off the invitation; who was in the call stays in the record.
 * @param ifMatch as {@link changeParticipant}
 * @throws {Problem} as {@link changeParticipant}
 */
export async function removeParticipant(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  participantId: string,
  scope: ChangeScope,
  ifMatch?: IfMatch,
): Promise<void> {
  await changePeople(deps, caller, meetingId, scope, async tx => {
    const { email } = await wantedParticipant(tx, caller, meetingId, participantId)
    return {
      people: present => plain(present).filter(person => person.email !== email),
      checkVersion: () => refuseOtherParticipant(tx, caller, meetingId, participantId, ifMatch),
    }
  })
}

interface Plan {
  people: PeopleChange
  /** As {@link applyChange} asks it. */
  checkVersion?: () => Promise<void>
  /** Whom it was about, asked when the change is written. */
  id?: () => Promise<string | undefined>
}

async function changePeople(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  scope: ChangeScope,
  planOf: (tx: Transaction) => Promise<Plan>,
): Promise<{ participantId: string | null }> {
  const { organizationId, actor } = caller
  const { touched, participantId } = await changeOnce(deps.db, caller, async tx => {
    const plan = await planOf(tx)
    const changed = await applyToPeople(tx, deps, caller, meetingId, plan, scope)
    await sendJobs(deps.jobs, tx, changed, deps.clock.now())
    return { touched: changed, participantId: (await plan.id?.()) ?? null }
  })
  const outcome = await tellAtOnce(deps, organizationId, touched, actor, deps.googleLimitMs)
  refuseUnlessDone(outcome, meetingId, 'The change is kept and Google will follow as soon as it can.')
  return { participantId }
}

/** Of a series the meeting that was asked about changes in any case, also one that has begun. */
async function applyToPeople(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  { people, checkVersion }: Plan,
  scope: ChangeScope,
): Promise<Touched> {
  const touched = await applyChange(tx, deps, caller, meetingId, { people }, scope, checkVersion)
  if (scope === 'one') return touched
  const present = plain(await listInvited(tx, meetingId))
  if (JSON.stringify(people(present)) === JSON.stringify(present)) return touched
  const alone = await applyChange(tx, deps, caller, meetingId, { people }, 'one')
  return { ...touched, meetingIds: [...touched.meetingIds, ...alone.meetingIds] }
}

async function wantedParticipant(
  tx: Transaction,
  { organizationId }: Caller,
  meetingId: string,
  participantId: string,
): Promise<ParticipantRow> {
  if (!(await showMeeting(tx, organizationId, meetingId))) throw noSuchMeeting()
  const found = (await listInvited(tx, meetingId)).find(({ id }) => id === participantId)
  if (!found) throw noSuchParticipant()
  return found
}

function refuseOtherParticipant(
  tx: Transaction,
  { organizationId }: Caller,
  meetingId: string,
  participantId: string,
  ifMatch: IfMatch | undefined,
): Promise<void> {
  return refuseOtherVersion(ifMatch, () => showParticipant(tx, organizationId, meetingId, participantId))
}

async function invitedByEmail(tx: Transaction, meetingId: string, email: string) {
  return (await listInvited(tx, meetingId)).find(person => person.email === email)
}

function plain(people: readonly Invited[]): Invited[] {
  return people.map(({ email, name, role }) => ({ email, name, role }))
}

function noSuchParticipant(): Problem {
  return new Problem('participant_not_found', 'Nobody with this id is invited to the meeting.')
}
