import { GoogleError } from '../errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from '../world.ts'
import { type Condition, readFilter } from './record-filter.ts'
import type { Conference, ConferenceParticipant, ConferenceRecording } from './space.ts'

const keptMs = 30 * 24 * 3600_000

/** Conference records, participants, sessions and recordings of Meet v2, from what tests put into the state. */
export const recordHandlers: Handlers = {
  'meet.conferenceRecords.list': listConferences,
  'meet.conferenceRecords.get': call => ({ json: viewConference(conferenceOf(call, 'name')) }),
  'meet.conferenceRecords.participants.list': listParticipants,
  'meet.conferenceRecords.participants.get': call => ({
    json: viewParticipant(call, participantOf(call, 'name')),
  }),
  'meet.conferenceRecords.participants.participantSessions.list': call => {
    const person = participantOf(call, 'parent')
    return page(call, 'participantSessions', person.sessions.map(viewSession(person)), 100, 250)
  },
  'meet.conferenceRecords.recordings.list': call => {
    const recordings = conferenceOf(call, 'parent').recordings.toSorted((a, b) =>
      compare(a.startTime, b.startTime),
    )
    return page(call, 'recordings', recordings.map(viewRecording(call)), 10, 100)
  },
  'meet.conferenceRecords.recordings.get': call => {
    const recording = conferenceOf(call, 'name').recordings.find(
      one => one.name === textParameter(call, 'name'),
    )
    if (!recording) throw notFound()
    return { json: viewRecording(call)(recording) }
  },
}

function listConferences(call: Call): Answer {
  const conditions = readFilter(textParameter(call, 'filter') ?? '')
  const found = call.world.state.conferences
    .filter(conference => isVisible(call, conference) && conditions.every(fits(call, conference)))
    .sort((a, b) => compare(b.startTime, a.startTime))
  return page(call, 'conferenceRecords', found.map(viewConference), 25, 100)
}

function fits(call: Call, conference: Conference) {
  const code = call.world.state.spaces.get(conference.space)?.meetingCode
  const values: Record<string, string | undefined> = {
    'space.name': conference.space,
    'space.meeting_code': code,
    start_time: conference.startTime,
    end_time: conference.endTime,
  }
  return (condition: Condition) => meets(condition, values)
}

function listParticipants(call: Call): Answer {
  const conditions = readFilter(textParameter(call, 'filter') ?? '')
  const people = conferenceOf(call, 'parent')
    .participants.filter(person => {
      const [earliest, latest] = [earliestStart(person), latestEnd(person)]
      const values = { earliest_start_time: earliest, latest_end_time: latest }
      return conditions.every(condition => meets(condition, values))
    })
    .sort((a, b) => compare(earliestStart(b), earliestStart(a)))
  return page(
    call,
    'participants',
    people.map(person => viewParticipant(call, person)),
    100,
    250,
  )
}

/** ISO times compare as instants, everything else as text. */
function meets(condition: Condition, values: Record<string, string | undefined>): boolean {
  if (!(condition.field in values)) throw new GoogleError(400, `Invalid filter field: ${condition.field}`)
  const value = values[condition.field]
  if (condition.operator === 'IS NULL') return value === undefined
  if (value === undefined) return false
  if (!condition.field.endsWith('_time')) return condition.operator === '=' && value === condition.value
  const difference = Date.parse(value) - Date.parse(condition.value)
  const answers = {
    '=': difference === 0,
    '>=': difference >= 0,
    '<=': difference <= 0,
    '>': difference > 0,
    '<': difference < 0,
  }
  return answers[condition.operator]
}

/** The record a name or parent begins with; gone 30 days after its end, 403 for who took no part. */
function conferenceOf(call: Call, parameter: string): Conference {
  const name = (textParameter(call, parameter) ?? '').split('/').slice(0, 2).join('/')
  const found = call.world.state.conferences.find(conference => conference.name === name)
  if (!found || !isKept(call, found)) throw notFound()
  if (!isVisible(call, found))
    throw new GoogleError(403, 'Permission denied on resource ConferenceRecord (or it might not exist)')
  return found
}

function participantOf(call: Call, parameter: string): ConferenceParticipant {
  const name = (textParameter(call, parameter) ?? '').split('/').slice(0, 4).join('/')
  const found = conferenceOf(call, parameter).participants.find(person => person.name === name)
  if (!found) throw notFound()
  return found
}

function isKept(call: Call, conference: Conference): boolean {
  return conference.endTime === undefined || call.world.nowMs() - Date.parse(conference.endTime) < keptMs
}

function isVisible(call: Call, conference: Conference): boolean {
  const { email } = call.caller
  const owner = call.world.state.spaces.get(conference.space)?.owner
  const mayKnow = owner === email || conference.participants.some(person => person.email === email)
  return mayKnow && isKept(call, conference)
}

function viewConference(conference: Conference): object {
  const { name, space, startTime, endTime } = conference
  const expireTime = endTime && new Date(Date.parse(endTime) + keptMs).toISOString()
  return { name, space, startTime, ...(endTime && { endTime, expireTime }) }
}

function viewParticipant(call: Call, person: ConferenceParticipant): object {
  const { name, displayName, email } = person
  const user = email === undefined ? undefined : call.world.identity.user(email)
  const latestEndTime = latestEnd(person)
  return {
    name,
    earliestStartTime: earliestStart(person),
    ...(latestEndTime && { latestEndTime }),
    ...(user
      ? { signedinUser: { user: `users/${user.id}`, displayName } }
      : { anonymousUser: { displayName } }),
  }
}

function viewSession(person: ConferenceParticipant) {
  return (session: ConferenceParticipant['sessions'][number], at: number) => ({
    name: `${person.name}/participantSessions/${at + 1}`,
    ...session,
  })
}

function viewRecording(call: Call) {
  return ({ fileId, ...recording }: ConferenceRecording) => ({
    ...recording,
    ...(recording.state === 'FILE_GENERATED' &&
      fileId && {
        driveDestination: { file: fileId, exportUri: `${call.world.origin}/file/d/${fileId}/view` },
      }),
  })
}

function page(call: Call, field: string, items: object[], usual: number, most: number): Answer {
  const { pageSize } = call.parameters
  const size = Math.min(typeof pageSize === 'number' && pageSize > 0 ? pageSize : usual, most)
  const token = textParameter(call, 'pageToken')
  const from = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString())
  if (!Number.isInteger(from)) throw new GoogleError(400, 'Invalid page token.')
  const rest = from + size < items.length
  return {
    json: {
      ...(items.length > 0 && { [field]: items.slice(from, from + size) }),
      ...(rest && { nextPageToken: Buffer.from(String(from + size)).toString('base64url') }),
    },
  }
}

function earliestStart(person: ConferenceParticipant): string {
  return person.sessions.map(session => session.startTime).sort(compare)[0] ?? ''
}

/** Absent while one of the sessions still runs. */
function latestEnd(person: ConferenceParticipant): string | undefined {
  const ends = person.sessions.map(session => session.endTime)
  return ends.includes(undefined) ? undefined : (ends as string[]).sort(compare).at(-1)
}

function compare(a: string, b: string): number {
  return Date.parse(a) - Date.parse(b)
}

function notFound(): GoogleError {
  return new GoogleError(404, 'Requested entity was not found.')
}
