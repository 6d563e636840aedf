import { and, eq, inArray, isNull, notExists, or, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import type { Transaction } from './connect.ts'
import {
  mails,
  meetingEvents,
  meetings,
  participants,
  presences,
  recordings,
  users,
  webhookEvents,
} from './schema.ts'
import { type ErasedTemplates, eraseFromTemplates } from './series-template.ts'
import type { MeetingStatus, RecordingStatus } from './states.ts'

/** What was done to a person's data, and what was not. */
export interface ErasedPerson extends ErasedTemplates {
  /** Stands where the address stood. */
  pseudonym: string
  participants: number
  presences: number
  meetingEvents: number
  webhookEvents: number
  mails: number
  /** Recordings of the meetings in question: they are not edited. */
  recordings: { meetingId: string; recordingId: string; status: RecordingStatus; startedAt: Date | null }[]
  /** Meetings under legal hold: nothing of them was touched. */
  held: string[]
  /** Meetings that are not over: the person has to be taken off their invitation first. */
  upcoming: string[]
  /** The person is a user of the organisation too, which is a matter of its own. */
  userId: string | null
}

const OPEN: MeetingStatus[] = ['scheduled', 'in_progress']

/**
 * Takes a person's address and names out of an organisation's rows, in one transaction: participants, presences, the log
 * of meetings, webhook events, mail and the templates of series. The audit log never held them. What a pseudonym belongs to is written nowhere.
 * @param person.email lower-cased
 * @param person.names further names by which they appeared in calls
 */
export async function erasePerson(
  tx: Transaction,
  { organizationId, actor }: { organizationId: string; actor: string },
  person: { id: string; email: string; names: readonly string[] },
): Promise<ErasedPerson> {
  const pseudonym = `erased-${person.id.slice(0, 8)}@erased.invalid`
  const templates = await eraseFromTemplates(tx, organizationId, { email: person.email, pseudonym })
  const invited = await tx
    .select({
      id: participants.id,
      name: participants.name,
      removedAt: participants.removedAt,
      meetingId: meetings.id,
      status: meetings.status,
      legalHold: meetings.legalHold,
    })
    .from(participants)
    .innerJoin(meetings, eq(meetings.id, participants.meetingId))
    .where(and(eq(participants.organizationId, organizationId), eq(participants.email, person.email)))
    .for('update')
  // Meetings with no bearer of the address are not looked through: a name alone tells nobody apart.
  const isUpcoming = (row: (typeof invited)[number]) => OPEN.includes(row.status) && row.removedAt === null
  const held = invited.filter(row => row.legalHold)
  const upcoming = invited.filter(row => !row.legalHold && isUpcoming(row))
  const erasable = invited.filter(row => !row.legalHold && !isUpcoming(row))
  const meetingIds = erasable.map(row => row.meetingId)
  const words = [person.email, ...person.names, ...invited.flatMap(({ name }) => name ?? [])]
  const names = [...new Set(words.slice(1).map(name => name.trim().toLowerCase()))].filter(Boolean)
  const one = { tx, organizationId, meetingIds, pseudonym, email: person.email, names }

  const done: ErasedPerson = {
    pseudonym,
    participants: erasable.length,
    presences: await erasePresences(one),
    meetingEvents: await eraseMeetingEvents(one),
    webhookEvents: await eraseWebhookEvents(one),
    mails: await eraseMails(one),
    ...templates,
    recordings: await recordingsOf(tx, meetingIds),
    held: held.map(row => row.meetingId),
    upcoming: upcoming.map(row => row.meetingId),
    userId: await userWith(tx, organizationId, person.email),
  }
  await eraseFingerprints(tx, erasable)
  if (erasable.length > 0)
    await tx
      .update(participants)
      .set({ email: pseudonym, name: null })
      .where(
        inArray(
          participants.id,
          erasable.map(row => row.id),
        ),
      )
  const { recordings: kept, held: heldIds, upcoming: upcomingIds, upcomingSeries, userId, ...counts } = done
  await noteAudit(tx, {
    organizationId,
    actor,
    action: 'person.erased',
    subject: `erasure:${person.id}`,
    detail: {
      ...counts,
      userId,
      meetingIds,
      recordingsKept: kept.length,
      held: heldIds,
      upcoming: upcomingIds,
      upcomingSeries,
    },
  })
  return done
}

/** Few enough guests are guessed by their fingerprint. */
async function eraseFingerprints(
  tx: Transaction,
  erasable: readonly { meetingId: string; status: MeetingStatus }[],
): Promise<void> {
  const idsOf = (isOpen: boolean) =>
    erasable.flatMap(({ meetingId, status }) => (OPEN.includes(status) === isOpen ? [meetingId] : []))
  await tx
    .update(meetings)
    .set({ calendarSeen: null })
    .where(inArray(meetings.id, idsOf(false)))
  // One that is still to come, from which the person was taken off, is followed on.
  await tx
    .update(meetings)
    .set({ calendarSeen: sql`jsonb_set(${meetings.calendarSeen}, '{fields,guests}', '""'::jsonb)` })
    .where(inArray(meetings.id, idsOf(true)))
}

interface One {
  tx: Transaction
  organizationId: string
  meetingIds: string[]
  pseudonym: string
  email: string
  /** Lower-cased. */
  names: string[]
}

async function erasePresences({ tx, meetingIds, names, pseudonym }: One): Promise<number> {
  if (meetingIds.length === 0 || names.length === 0) return 0
  const erased = await tx
    .update(presences)
    .set({ name: null, personKey: pseudonym })
    .where(and(inArray(presences.meetingId, meetingIds), inArray(sql`lower(trim(${presences.name}))`, names)))
    .returning({ id: presences.id })
  return erased.length
}

async function eraseMeetingEvents(one: One): Promise<number> {
  const { tx, meetingIds } = one
  if (meetingIds.length === 0) return 0
  const rows = await tx
    .select({ id: meetingEvents.id, detail: meetingEvents.detail })
    .from(meetingEvents)
    .where(
      and(inArray(meetingEvents.meetingId, meetingIds), mentions(one, sql`${meetingEvents.detail}::text`)),
    )
  for (const { id, detail } of rows)
    await tx
      .update(meetingEvents)
      .set({ detail: withoutPerson(detail, one) as Record<string, unknown> })
      .where(eq(meetingEvents.id, id))
  return rows.length
}

async function eraseWebhookEvents(one: One): Promise<number> {
  const { tx, meetingIds } = one
  if (meetingIds.length === 0) return 0
  const rows = await tx
    .select({ id: webhookEvents.id, payload: webhookEvents.payload })
    .from(webhookEvents)
    .where(
      and(inArray(webhookEvents.meetingId, meetingIds), mentions(one, sql`${webhookEvents.payload}::text`)),
    )
  for (const { id, payload } of rows)
    await tx
      .update(webhookEvents)
      .set({ payload: withoutPerson(payload, one) as Record<string, unknown> })
      .where(eq(webhookEvents.id, id))
  return rows.length
}

/** Mail of meetings that are left alone is left alone too, whether or not the person is invited to them. */
async function eraseMails({ tx, organizationId, meetingIds, email }: One): Promise<number> {
  const leftAlone = tx
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(eq(meetings.id, mails.meetingId), or(eq(meetings.legalHold, true), inArray(meetings.status, OPEN))),
    )
  const gone = await tx
    .delete(mails)
    .where(
      and(
        eq(mails.organizationId, organizationId),
        eq(mails.recipient, email),
        or(isNull(mails.meetingId), inArray(mails.meetingId, meetingIds), notExists(leftAlone)),
      ),
    )
    .returning({ id: mails.id })
  return gone.length
}

async function recordingsOf(tx: Transaction, meetingIds: string[]): Promise<ErasedPerson['recordings']> {
  if (meetingIds.length === 0) return []
  return tx
    .select({
      meetingId: recordings.meetingId,
      recordingId: recordings.id,
      status: recordings.status,
      startedAt: recordings.startedAt,
    })
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where(
      and(
        inArray(recordings.meetingId, meetingIds),
        isNull(meetings.erasedAt),
        inArray(recordings.status, ['available', 'partial', 'finishing', 'failed']),
      ),
    )
    .orderBy(recordings.startedAt, recordings.id)
}

async function userWith(tx: Transaction, organizationId: string, email: string): Promise<string | null> {
  const [user] = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.organizationId, organizationId), eq(users.email, email)))
  return user?.id ?? null
}

// JSON writes some marks of a name with a backslash; what is found here is looked through with care afterwards.
function mentions({ email, names }: One, text: ReturnType<typeof sql>) {
  const patterns = [email, ...names].map(word => {
    const written = JSON.stringify(word).slice(1, -1)
    return `%${written.replace(/[\\%_]/g, mark => `\\${mark}`)}%`
  })
  return sql`${text} ilike any(array[${sql.join(
    patterns.map(pattern => sql`${pattern}`),
    sql`, `,
  )}])`
}

/** The same data with the person's address replaced wherever it stands, and every text that is their name taken out. */
export function withoutPerson(
  value: unknown,
  person: { email: string; names: readonly string[]; pseudonym: string },
): unknown {
  if (typeof value === 'string') {
    if (person.names.includes(value.trim().toLowerCase())) return null
    return replaceAll(value, person.email, person.pseudonym)
  }
  if (Array.isArray(value)) return value.map(inner => withoutPerson(inner, person))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withoutPerson(inner, person)]),
  )
}

function replaceAll(text: string, word: string, other: string): string {
  const pattern = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return text.replace(new RegExp(`(?<![\\w.+-])${pattern}(?![\\w-])`, 'giu'), () => other)
}
