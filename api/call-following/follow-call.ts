import {
  findMeetingOfCall,
  isRoomAttended,
  noteCallBegun,
  noteCallEnded,
  noteToldStay,
} from '../../db/call-following.ts'
import type { Transaction } from '../../db/connect.ts'
import type { CallEvent } from '../../db/jobs.ts'
import { recordingStatusOf } from '../../db/meeting-following.ts'
import { lockMeeting, type MeetingRow } from '../../db/meetings.ts'
import { isFinal } from '../../db/states.ts'
import { GoogleFault } from '../../google/fault.ts'
import type { FollowingDeps } from '../calendar-following/following-deps.ts'

/** What happened is not in Meet's records yet; it will be. */
class NotThereYet extends Error {
  readonly code = 'not_there_yet'
}

/** People who come earlier than this have not come for the meeting. */
const EARLY_MS = 15 * 60_000
const ACTOR = 'google'
/** A conference that began earlier than this before an event of it is not looked for. */
const LONGEST_CONFERENCE_MS = 24 * 3_600_000

const SESSION_NAME = /^((conferenceRecords\/[^/]+)\/participants\/[^/]+)\/participantSessions\/[^/]+$/

/**
 * The job `follow-call`: what Workspace Events told of a call becomes part of its meeting, and a bot that is not there yet
 * is woken. Events come twice, late and in any order: what they are about is read, and repeating it changes nothing.
 * @throws {NotThereYet}; {GoogleFault}
 */
export async function followCall(deps: FollowingDeps, event: CallEvent, signal: AbortSignal): Promise<void> {
  const { db, log, clock, settings } = deps
  const found = await findMeetingOfCall(db, event.space, {
    at: new Date(event.happenedAt),
    earlyMs: EARLY_MS,
    lateMs: settings.longestExtraSeconds * 1000,
  })
  if (!found) return
  const what = await readWhat(deps, found, event, signal).catch((error: unknown) => {
    log.warn({ meeting: found.id, kind: event.kind, error }, 'what happened in a call could not be read')
    // A conference that began is reason enough, whatever Meet's records say.
    if (event.kind === 'conference_started' && error instanceof GoogleFault) return { kind: 'begun' } as const
    throw error
  })
  if (what.kind === 'nothing') return
  await db.transaction(async tx => {
    const meeting = await lockMeeting(tx, found.organizationId, found.id)
    if (!meeting || meeting.status === 'cancelled') return
    const now = new Date(clock.now())
    const by = { actor: ACTOR, now }
    if (what.kind === 'ended') return noteCallEnded(tx, meeting, { ...what, now })
    await noteCallBegun(tx, meeting, by)
    if (what.kind === 'stay') await noteToldStay(tx, meeting, what)
    if (what.kind === 'begun' || what.to === null) await wakeBot(deps, tx, meeting, now)
  })
}

type What =
  | { kind: 'nothing' }
  | { kind: 'begun' }
  | { kind: 'ended'; conference: string; endedAt: Date }
  | { kind: 'stay'; session: string; name: string | null; from: Date; to: Date | null }

/** Who and when: events carry names only (google-apis.md §3). */
async function readWhat(
  deps: FollowingDeps,
  meeting: MeetingRow,
  event: CallEvent,
  signal: AbortSignal,
): Promise<What> {
  const { records } = deps.google
  const { organizer } = meeting
  if (event.kind === 'conference_started' || event.kind === 'conference_ended') {
    const at = new Date(event.happenedAt).getTime()
    const around = { from: new Date(at - LONGEST_CONFERENCE_MS), to: new Date(at + 60_000) }
    const all = await records.listConferences(organizer, { spaceName: event.space, ...around }, signal)
    const conference = all.find(({ name }) => name === event.name)
    if (!conference) throw new NotThereYet(`Meet has no record of ${event.name} yet`)
    if (event.kind === 'conference_ended')
      return conference.endedAt
        ? { kind: 'ended', conference: event.name, endedAt: conference.endedAt }
        : { kind: 'ended', conference: event.name, endedAt: new Date(event.happenedAt) }
    // Told late: it is over, and there is nobody to come for.
    if (conference.endedAt) return { kind: 'nothing' }
    // A bot of ours that comes first starts the conference too.
    const present = await records.listParticipants(organizer, event.name, { presentOnly: true, signal })
    const isBot = await botNames(deps, signal)
    return { kind: present.some(person => !isBot(person.displayName)) ? 'begun' : 'nothing' }
  }
  const [, participant = '', conference = ''] = SESSION_NAME.exec(event.name) ?? []
  if (participant === '') return { kind: 'nothing' }
  const people = await records.listParticipants(organizer, conference, { signal })
  const person = people.find(({ name }) => name === participant)
  const sessions = person ? await records.listSessions(organizer, participant, signal) : []
  const session = sessions.find(({ name }) => name === event.name)
  if (!person || !session) throw new NotThereYet(`Meet has no record of ${event.name} yet`)
  const isBot = await botNames(deps, signal)
  if (isBot(person.displayName)) return { kind: 'nothing' }
  const left = event.kind === 'participant_left' ? new Date(event.happenedAt) : null
  return {
    kind: 'stay',
    session: session.name,
    name: person.displayName || null,
    from: session.startedAt,
    to: session.endedAt ?? left,
  }
}

const namesOfBots = new WeakMap<object, ReadonlySet<string>>()

/** Meet's records show names, never addresses: those of our bots are asked for once. */
async function botNames(
  { google, settings, log }: FollowingDeps,
  signal: AbortSignal,
): Promise<(name: string) => boolean> {
  const plain = (name: string) => name.normalize('NFC').trim().toLowerCase()
  let names = namesOfBots.get(settings)
  if (!names) {
    const found = [settings.guestName]
    for (const bot of settings.bots) {
      const name = await google.records.displayNameOf(bot, signal).catch((error: unknown) => {
        if (!(error instanceof GoogleFault) || error.retryable) throw error
        log.warn({ bot, code: error.code, reason: error.reason }, 'the name of a bot account is not known')
        return null
      })
      if (name) found.push(name)
    }
    names = new Set(found.map(plain))
    namesOfBots.set(settings, names)
  }
  const known = names
  return name => known.has(plain(name))
}

/**
 * Has a bot come at once that is not in the call, whatever its job waits for. Where one is in the room for another
 * meeting, such as the one before of a series, it stays, and the job goes by its time.
 */
async function wakeBot(
  { jobs }: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  now: Date,
): Promise<void> {
  const status = await recordingStatusOf(tx, meeting.id)
  if (isFinal(status) || status === 'finishing' || meeting.status === 'ended') return
  if (await isRoomAttended(tx, meeting)) return
  await jobs.send(tx, 'record-meeting', { meetingId: meeting.id }, { key: meeting.id, startAfter: now })
}
