import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { appendAudit } from './audit.ts'
import { noteAudit } from './audit-notes.ts'
import type { Queryable, Transaction } from './connect.ts'
import { mailAdministrators } from './mails.ts'
import { newRowId } from './row-id.ts'
import {
  type Coverage,
  meetingEvents,
  meetings,
  type NativeRecording,
  presences,
  recordings,
} from './schema.ts'

/** One stay of one person, as Google's record has it. */
export interface GoogleStay {
  /** Name of the participant session. */
  key: string
  name: string
  bot: boolean
  from: Date
  to: Date | null
}

interface Of {
  organizationId: string
  meetingId: string
  recordingId: string
}

/** Everybody's stays, as the bot saw them and as Google's record had them when it was last read whole. */
export async function listStays(db: Queryable, meetingId: string) {
  const rows = await db
    .select()
    .from(presences)
    .where(eq(presences.meetingId, meetingId))
    .orderBy(asc(presences.joinedAt), asc(presences.personKey))
  return {
    bot: rows.filter(({ source }) => source === 'bot'),
    google: rows.filter(({ source }) => source === 'google'),
  }
}

/** Writes the coverage down as it is known now. */
export async function saveCoverage(
  db: Queryable,
  recordingId: string,
  facts: { coverage: Coverage; conferences?: string[] },
): Promise<void> {
  await db.update(recordings).set(facts).where(eq(recordings.id, recordingId))
}

/**
 * Takes over who was in the call and when from Google's record, in the place of an earlier reading of it, and with it
 * the actual start and end of the meeting: the first and the last moment at which a person was there.
 */
export async function saveGooglePresences(
  tx: Transaction,
  { organizationId, meetingId }: Of,
  stays: readonly GoogleStay[],
): Promise<void> {
  await tx.delete(presences).where(and(eq(presences.meetingId, meetingId), eq(presences.source, 'google')))
  if (stays.length > 0)
    await tx.insert(presences).values(
      stays.map(({ key, name, bot, from, to }) => ({
        id: newRowId(),
        organizationId,
        meetingId,
        source: 'google' as const,
        personKey: key,
        name: name === '' ? null : name,
        bot,
        joinedAt: from,
        leftAt: to,
      })),
    )
  const people = stays.filter(stay => !stay.bot)
  const ends = people.flatMap(({ to }) => (to ? [to.getTime()] : []))
  if (people.length > 0 && ends.length > 0)
    await tx
      .update(meetings)
      .set({
        actualStart: new Date(Math.min(...people.map(({ from }) => from.getTime()))),
        actualEnd: new Date(Math.max(...ends)),
      })
      .where(eq(meetings.id, meetingId))
}

/**
 * Raises the alert of a recording, once in its life.
 * @returns whether this call raised it
 */
export async function raiseCoverageAlert(
  tx: Transaction,
  { organizationId, meetingId, recordingId }: Of,
  facts: { actor: string; at: Date; detail: Record<string, unknown> },
): Promise<boolean> {
  const [raised] = await tx
    .update(recordings)
    .set({ coverageAlertAt: facts.at })
    .where(and(eq(recordings.id, recordingId), isNull(recordings.coverageAlertAt)))
    .returning({ ending: recordings.ending })
  if (!raised) return false
  await tx.insert(meetingEvents).values({
    organizationId,
    meetingId,
    actor: facts.actor,
    kind: 'coverage.alert',
    ending: raised.ending,
    detail: facts.detail,
  })
  await mailAdministrators(tx, {
    organizationId,
    meetingId,
    kind: 'coverage.alert',
    facts: facts.detail,
    onceKey: `coverage.alert:${recordingId}`,
  })
  await noteAudit(tx, {
    organizationId,
    actor: facts.actor,
    action: 'coverage.alert',
    subject: `recording:${recordingId}`,
    detail: { meetingId, ...facts.detail },
  })
  return true
}

/** Writes the coverage into the audit log. The last thing in its transaction, see `appendAudit`. */
export async function auditCoverage(
  tx: Transaction,
  { organizationId, recordingId }: Of,
  facts: { actor: string; detail: Record<string, unknown> },
): Promise<void> {
  await appendAudit(tx, {
    organizationId,
    actor: facts.actor,
    action: 'recording.coverage',
    subject: `recording:${recordingId}`,
    detail: facts.detail,
  })
}

/** Adds a copied recording of Google's to the row; one that is there already stays. */
export async function addNativeRecording(
  tx: Transaction,
  recordingId: string,
  native: NativeRecording,
): Promise<void> {
  await tx
    .update(recordings)
    .set({ nativeRecordings: sql`${recordings.nativeRecordings} || ${JSON.stringify([native])}::jsonb` })
    .where(
      and(
        eq(recordings.id, recordingId),
        sql`not ${recordings.nativeRecordings} @> ${JSON.stringify([{ name: native.name }])}::jsonb`,
      ),
    )
}
