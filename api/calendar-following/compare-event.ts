import { isTimeZone } from '../../calendar/wall-time.ts'
import { shortFingerprint as fingerprint } from '../../db/changed-fields.ts'
import type { MeetingChange, MeetingRow, ParticipantRow } from '../../db/meetings.ts'
import type { CalendarSeen, InvitationResponse } from '../../db/schema.ts'
import type { CalendarEvent, EventAttendee } from '../../google/calendar-event.ts'

/** Addresses of our own bots, lower-cased: they are guests of the event, and participants of no meeting. */
export type Bots = ReadonlySet<string>

/** What an event says, in the words of a meeting. */
export interface EventFacts {
  topic: string
  description: string | null
  startsAt: Date
  endsAt: Date
  timeZone: string
  /** Lower-cased, bots and rooms apart. */
  guests: ReadonlyMap<string, EventAttendee>
}

type Field = 'topic' | 'description' | 'times' | 'timeZone' | 'guests'
const FIELDS: readonly Field[] = ['topic', 'description', 'times', 'timeZone', 'guests']

/** Both sides changed the same field, and the newer change won. */
export interface Conflict {
  winner: 'calendar' | 'caller'
  fields: string[]
}

export interface Comparison {
  /** What the event says. */
  facts: EventFacts
  /** What the meeting has to become; empty: it says already what the event says. */
  changes: MeetingChange
  conflicts: Conflict[]
  answers: { person: ParticipantRow; response: InvitationResponse }[]
  /** A link that is another one now. */
  link: { joinUrl: string; meetingCode: string } | undefined
  seen: CalendarSeen
}

// See CalendarSeen.
const ERASED = ''
// As long as a caller may write them.
const LONGEST_TOPIC = 300
const LONGEST_DESCRIPTION = 7500
const MOST_PEOPLE = 200

/**
 * What changed in the calendar, told from what a caller changed and Google does not know yet. While nothing is left to be
 * told to Google, every difference was made in the calendar. Otherwise a field counts as changed there when it is not
 * what it was when the event was read last; where a caller changed it too, the newer change wins.
 * @param event alive
 */
export function compareEvent(
  meeting: MeetingRow,
  invited: readonly ParticipantRow[],
  event: CalendarEvent,
  { bots, now }: { bots: Bots; now: Date },
): Comparison {
  const facts = factsOf(meeting, invited, event, { bots, now })
  const inEvent = fingerprints(facts)
  const people = invited.filter(({ email }) => !bots.has(email))
  const inRow = fingerprints({ ...meeting, guests: new Map(people.map(({ email }) => [email, null])) })
  const before = meeting.calendarSeen?.fields
  const isPending = meeting.syncedRevision < meeting.revision
  const isNewer = (event.updatedAt ?? now) > meeting.updatedAt
  const adopted: Field[] = []
  const lost: Field[] = []
  const won: Field[] = []
  for (const field of FIELDS) {
    if (inEvent[field] === inRow[field]) continue
    // Where that was erased nothing tells that somebody changed the field: it stays as it is.
    const isNew = before?.[field] !== ERASED && before?.[field] !== inEvent[field]
    // An exception of a series may go on saying what the series said when it became one.
    if (!isPending) {
      if (meeting.seriesId === null || isNew) adopted.push(field)
      continue
    }
    // Without an earlier reading only the times of the two changes are left to judge by.
    if (!isNew || (before === undefined && !isNewer)) continue
    const changedHere = before === undefined || before[field] !== inRow[field]
    if (!changedHere) adopted.push(field)
    else (isNewer ? won : lost).push(field)
  }
  const named = (winner: Conflict['winner'], fields: Field[]): Conflict[] =>
    fields.length > 0 ? [{ winner, fields }] : []
  return {
    facts,
    changes: changesOf([...adopted, ...won], facts, meeting, invited),
    conflicts: [...named('calendar', won), ...named('caller', lost)],
    answers: invited.flatMap(person => {
      const guest = facts.guests.get(person.email)
      return guest && guest.response !== person.response ? [{ person, response: guest.response }] : []
    }),
    link: linkOf(meeting, event),
    seen: { etag: event.etag, updatedAt: event.updatedAt?.toISOString() ?? null, fields: inEvent },
  }
}

/** Whether a comparison leaves the meeting as it is. */
export function changesNothing({ changes, answers, link, conflicts }: Comparison): boolean {
  return Object.keys(changes).length === 0 && answers.length === 0 && !link && conflicts.length === 0
}

function factsOf(
  meeting: MeetingRow,
  invited: readonly ParticipantRow[],
  event: CalendarEvent,
  { bots, now }: { bots: Bots; now: Date },
): EventFacts {
  const times = timesOf(meeting, event, now)
  const known = new Map(invited.map(person => [person.email, person]))
  const guests = guestsOf(event, { bots, known: new Set(known.keys()) })
  // Where Google left guests out, who is missing may still be invited.
  if (!event.attendeesComplete)
    for (const { email, name, response } of invited)
      if (!guests.has(email)) guests.set(email, { ...NOBODY, email, name, response })
  return {
    topic: topicOf(event) || meeting.topic,
    description: descriptionOf(event),
    ...times,
    timeZone: event.timeZone && isTimeZone(event.timeZone) ? event.timeZone : meeting.timeZone,
    guests,
  }
}

const NOBODY = { comment: null, isOptional: false, isOrganizer: false, isResource: false }

/** Title of an event as a topic; empty where it has none. */
export function topicOf({ topic }: CalendarEvent): string {
  return topic.trim().slice(0, LONGEST_TOPIC)
}

export function descriptionOf({ description }: CalendarEvent): string | null {
  return description.trim().slice(0, LONGEST_DESCRIPTION) || null
}

/**
 * Who is invited. The organizer's own entry is Google's doing, and counts only for who is `known` anyway.
 * @param options.known lower-cased addresses
 */
export function guestsOf(
  { attendees }: CalendarEvent,
  { bots, known = new Set() }: { bots: Bots; known?: ReadonlySet<string> },
): Map<string, EventAttendee> {
  const guests = new Map<string, EventAttendee>()
  for (const attendee of attendees) {
    const email = attendee.email.toLowerCase()
    const isOurs = bots.has(email) || attendee.isResource || (attendee.isOrganizer && !known.has(email))
    if (!isOurs && guests.size < MOST_PEOPLE) guests.set(email, { ...attendee, email })
  }
  return guests
}

/** A whole day is no time for a call, and what has begun does not begin again: there the meeting keeps its own. */
function timesOf(
  meeting: MeetingRow,
  { start, end }: CalendarEvent,
  now: Date,
): Pick<EventFacts, 'startsAt' | 'endsAt'> {
  const { startsAt, endsAt } = meeting
  if (!start || !end || end <= start) return { startsAt, endsAt }
  if (meeting.status !== 'in_progress') return { startsAt: start, endsAt: end }
  const isSameCall = start <= now && end > startsAt
  return { startsAt, endsAt: isSameCall ? end : endsAt }
}

function fingerprints(
  facts: Pick<EventFacts, 'topic' | 'description' | 'startsAt' | 'endsAt' | 'timeZone'> & {
    guests: ReadonlyMap<string, unknown>
  },
): Record<Field, string> {
  return {
    topic: fingerprint(facts.topic.trim()),
    description: fingerprint(facts.description?.trim() || ''),
    times: fingerprint(`${facts.startsAt.toISOString()}/${facts.endsAt.toISOString()}`),
    timeZone: fingerprint(facts.timeZone),
    guests: fingerprint([...facts.guests.keys()].sort().join(' ')),
  }
}

function changesOf(
  fields: readonly Field[],
  facts: EventFacts,
  meeting: MeetingRow,
  invited: readonly ParticipantRow[],
): MeetingChange {
  const { topic, description, startsAt, endsAt, timeZone, guests } = facts
  const has = (field: Field) => fields.includes(field)
  return {
    ...(has('topic') && { topic }),
    ...(has('description') && { description }),
    ...(has('times') && startsAt.getTime() !== meeting.startsAt.getTime() && { startsAt }),
    ...(has('times') && endsAt.getTime() !== meeting.endsAt.getTime() && { endsAt }),
    ...(has('timeZone') && { timeZone }),
    ...(has('guests') && { participants: peopleOf(guests, invited) }),
  }
}

/** Whether the owner of the calendar does not take part. */
export function isDeclined({ attendees }: CalendarEvent, calendar: string): boolean {
  return attendees.some(({ email, response }) => email.toLowerCase() === calendar && response === 'declined')
}

/** Guests as participants; whoever was one before keeps name and role. */
export function peopleOf(
  guests: ReadonlyMap<string, EventAttendee>,
  invited: readonly Pick<ParticipantRow, 'email' | 'name' | 'role'>[],
): NonNullable<MeetingChange['participants']> {
  const known = new Map(invited.map(person => [person.email, person]))
  return [...guests.values()].map(({ email, name }) => {
    const { name: ownName = null, role = 'participant' as const } = known.get(email) ?? {}
    return { email, name: ownName ?? name?.trim().slice(0, 200) ?? null, role }
  })
}

// A link that was taken off the event still leads to the call: whoever has it may use it.
function linkOf(meeting: MeetingRow, { conference }: CalendarEvent): Comparison['link'] {
  if (meeting.joinUrl === null || conference.status !== 'success') return undefined
  const { joinUrl, meetingCode } = conference
  return meetingCode === meeting.meetingCode ? undefined : { joinUrl, meetingCode }
}
