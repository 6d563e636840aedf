import { randomInt } from 'node:crypto'
import type { World } from '../world.ts'
import { storeNativeVideo } from './native-video.ts'
import type { Conference, ConferenceParticipant, StoredSpace } from './space.ts'

/** Somebody who is in a call now, by the device they came with. */
export interface PersonInCall {
  /** One stay of one device: a second stay has another id. */
  id: string
  displayName: string
  /** Address of a signed-in account; guests have none. */
  email?: string
}

type Session = ConferenceParticipant['sessions'][number]

export interface ConferenceTimes {
  /** How long after the last person left the record says that the conference ended. */
  endShowsAfterMs: number
  /** How long after that the file of Google's own recording exists. */
  fileAfterMs: number
  /** Whether the domain's edition records at all (google-apis.md §2.5). */
  nativeRecording: boolean
}

/**
 * Keeps the conference records of what happens in calls: a conference begins with the first person, has one session for
 * each stay, goes on when somebody comes back soon, and ends at the time when the last one left, which shows a moment
 * later. Where the space asks for automatic recording and the edition has it, Google's own recording begins when
 * somebody of the domain is there, as guests alone start none (google-apis.md §2.2).
 */
export class ConferenceLife {
  readonly #world: World
  readonly #times: ConferenceTimes
  /** Sessions that run, by the person's id. */
  readonly #running = new Map<string, { conference: Conference; session: Session }>()

  constructor(world: World, times: ConferenceTimes) {
    this.#world = world
    this.#times = times
  }

  /** Says who is in the call with this code now. A code of no space is nobody's business. */
  peopleAre(code: string, people: readonly PersonInCall[]): void {
    const space = [...this.#world.state.spaces.values()].find(one => one.meetingCode === code)
    if (!space) return
    const now = this.#now()
    let conference = this.#ongoing(space)
    if (!conference && people.length > 0) conference = this.#begin(space, now)
    if (!conference) return
    for (const [id, { conference: of, session }] of this.#running) {
      if (of !== conference || people.some(person => person.id === id)) continue
      session.endTime = now
      this.#running.delete(id)
      this.#tell('participant.v2.left', space, 'participantSession', sessionName(conference, session))
    }
    for (const person of people) {
      if (this.#running.has(person.id)) continue
      const session: Session = { startTime: now }
      participantFor(conference, person).sessions.push(session)
      this.#running.set(person.id, { conference, session })
      this.#tell('participant.v2.joined', space, 'participantSession', sessionName(conference, session))
    }
    this.#record(space, conference, now)
    if (people.length === 0) this.#endSoon(space, conference, now)
  }

  #ongoing(space: StoredSpace): Conference | undefined {
    return this.#world.state.conferences.find(
      conference => conference.space === space.name && conference.endTime === undefined,
    )
  }

  #begin(space: StoredSpace, startTime: string): Conference {
    const name = `conferenceRecords/${freeId()}`
    const conference: Conference = { name, space: space.name, startTime, participants: [], recordings: [] }
    this.#world.state.conferences.push(conference)
    this.#tell('conference.v2.started', space, 'conferenceRecord', name)
    return conference
  }

  #record(space: StoredSpace, conference: Conference, now: string): void {
    const wanted = space.config.artifactConfig.recordingConfig?.autoRecordingGeneration === 'ON'
    if (!wanted || !this.#times.nativeRecording || conference.recordings.length > 0) return
    const mayRecord = conference.participants.some(
      ({ email, sessions }) =>
        email !== undefined &&
        this.#world.identity.user(email) !== undefined &&
        sessions.some(session => session.endTime === undefined),
    )
    if (!mayRecord) return
    const name = `${conference.name}/recordings/${freeId()}`
    conference.recordings.push({ name, state: 'STARTED', startTime: now })
    this.#tell('recording.v2.started', space, 'recording', name)
  }

  #endSoon(space: StoredSpace, conference: Conference, leftAt: string): void {
    const { timers } = this.#world
    timers.later(this.#times.endShowsAfterMs, async () => {
      const cameBack = [...this.#running.values()].some(one => one.conference === conference)
      if (cameBack || conference.endTime !== undefined) return
      conference.endTime = lastLeft(conference) ?? leftAt
      this.#tell('conference.v2.ended', space, 'conferenceRecord', conference.name)
      const recording = conference.recordings.find(one => one.state === 'STARTED')
      if (!recording) return
      Object.assign(recording, { state: 'ENDED', endTime: conference.endTime })
      this.#tell('recording.v2.ended', space, 'recording', recording.name)
      timers.later(this.#times.fileAfterMs, async () => {
        const fileId = await storeNativeVideo(this.#world, space.owner, `${space.meetingCode} (${leftAt})`)
        Object.assign(recording, { state: 'FILE_GENERATED', fileId })
        this.#tell('recording.v2.fileGenerated', space, 'recording', recording.name)
      })
    })
  }

  #tell(kind: string, space: StoredSpace, field: string, name: string): void {
    this.#world.onMeetEvent({ kind, space: space.name, resource: [field, name] })
  }

  #now(): string {
    return new Date(this.#world.nowMs()).toISOString()
  }
}

/** A signed-in account is one participant however often it comes; every guest is another one. */
function participantFor(conference: Conference, { displayName, email }: PersonInCall): ConferenceParticipant {
  const known =
    email === undefined ? undefined : conference.participants.find(person => person.email === email)
  if (known) return known
  const name = `${conference.name}/participants/${freeId()}`
  const person: ConferenceParticipant = { name, displayName, sessions: [], ...(email && { email }) }
  conference.participants.push(person)
  return person
}

/** As Meet's list of sessions names it. */
function sessionName(conference: Conference, session: Session): string {
  const person = conference.participants.find(one => one.sessions.includes(session))
  return `${person?.name}/participantSessions/${(person?.sessions.indexOf(session) ?? 0) + 1}`
}

function lastLeft(conference: Conference): string | undefined {
  return conference.participants
    .flatMap(person => person.sessions.flatMap(session => session.endTime ?? []))
    .sort()
    .at(-1)
}

function freeId(): string {
  return String(randomInt(1e11, 2e11)) + String(randomInt(1e9, 2e9))
}
