// What Google's records say about one meeting: its conferences and everybody's stays.
import { createHash } from 'node:crypto'
import type { ConferenceRecord, Records } from '../google/conference-records.ts'
import type { Interval } from './coverage.ts'
import type { IsBot } from './known-bots.ts'

/** Where and when the meeting's conferences took place. */
export interface ReadingPlan {
  organizer: string
  spaceName: string | null
  meetingCode: string | null
  startsAt: Date
  /** After this no conference belongs to the meeting any more. */
  until: Date
}

/** One stay of one person or bot. */
export interface Stay {
  /** Name of the participant session. */
  key: string
  name: string
  bot: boolean
  from: Date
  /** Null while the person is there. */
  to: Date | null
}

export interface ConferenceReading {
  /** Names of the conferences, oldest first. */
  conferences: string[]
  stays: Stay[]
  /** Presence before this is not for the meeting; milliseconds since the epoch. */
  countsFrom: number
  /** Somebody is there, or Google has not noted the end yet. */
  ongoing: boolean
  /** The same for two readings exactly when they say the same. */
  fingerprint: string
}

/** Who is in the room longer than this before the start is not there for the meeting. */
const EARLY_MS = 3_600_000
/** A conference that began earlier than this before the start is not looked for. */
const LONGEST_CONFERENCE_MS = 24 * 3_600_000
const SESSIONS_AT_ONCE = 4

/** Reads all of it. @throws {GoogleFault} */
export async function readConferences(
  records: Records,
  { organizer, spaceName, meetingCode, startsAt, until }: ReadingPlan,
  isBot: IsBot,
  signal: AbortSignal,
): Promise<ConferenceReading> {
  const earliest = startsAt.getTime() - EARLY_MS
  const found = await records.listConferences(
    organizer,
    {
      spaceName,
      meetingCode,
      from: new Date(startsAt.getTime() - LONGEST_CONFERENCE_MS),
      to: until,
    },
    signal,
  )
  const conferences = found
    .filter(({ endedAt }) => endedAt === null || endedAt.getTime() > earliest)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime())
  const stays: Stay[] = []
  for (const { name } of conferences)
    stays.push(...(await readStays(records, organizer, name, isBot, signal)))
  stays.sort((a, b) => a.from.getTime() - b.from.getTime() || (a.key < b.key ? -1 : 1))
  const relevant = stays.filter(({ to }) => to === null || to.getTime() > earliest)
  return {
    conferences: conferences.map(({ name }) => name),
    stays: relevant,
    countsFrom: earliest,
    ongoing: conferences.some(({ endedAt }) => endedAt === null) || relevant.some(({ to }) => to === null),
    fingerprint: fingerprintOf(conferences, relevant),
  }
}

async function readStays(
  records: Records,
  organizer: string,
  conference: string,
  isBot: IsBot,
  signal: AbortSignal,
): Promise<Stay[]> {
  const waiting = await records.listParticipants(organizer, conference, { signal })
  const stays: Stay[] = []
  await Promise.all(
    Array.from({ length: SESSIONS_AT_ONCE }, async () => {
      for (let person = waiting.shift(); person; person = waiting.shift()) {
        const { displayName: name } = person
        const bot = isBot(person)
        for (const session of await records.listSessions(organizer, person.name, signal))
          stays.push({ key: session.name, name, bot, from: session.startedAt, to: session.endedAt })
      }
    }),
  )
  return stays
}

/** The stays of people, for the coverage; who is there counts until `now`. */
export function humanIntervals(
  { stays, countsFrom }: Pick<ConferenceReading, 'stays' | 'countsFrom'>,
  now: number,
): Interval[] {
  return stays
    .filter(({ bot }) => !bot)
    .map(({ from, to }) => ({ from: Math.max(from.getTime(), countsFrom), to: to?.getTime() ?? now }))
}

function fingerprintOf(conferences: readonly ConferenceRecord[], stays: readonly Stay[]): string {
  return createHash('sha256')
    .update(JSON.stringify([conferences, stays]))
    .digest('base64url')
    .slice(0, 22)
}
