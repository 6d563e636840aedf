import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import type { Database, Queryable } from './connect.ts'
import { newRowId } from './row-id.ts'
import {
  type MailKind,
  mails,
  meetings,
  type NotificationSettings,
  organizations,
  recordings,
  users,
} from './schema.ts'

export type MailRow = typeof mails.$inferSelect

/** The setting that switches a kind of mail to administrators off; null: it cannot be. */
const SWITCHES = {
  'recording.available': 'recordingAvailable',
  'recording.failed': 'recordingFailed',
  'coverage.alert': 'coverageAlert',
  'webhook.disabled': null,
} as const satisfies Partial<Record<MailKind, keyof NotificationSettings | null>>

interface NewMail {
  organizationId: string
  /** Null: it is about no meeting. */
  meetingId: string | null
  facts?: Record<string, unknown>
  /** The same is told to the same person once only. */
  onceKey: string
  /** Of no use to anybody after that; three days from now unless given. */
  uselessAt?: Date
}

const USEFUL_FOR_MS = 3 * 86_400_000

/**
 * Mail to the administrators of an organisation, in the transaction of what it tells about: to the addresses of its
 * settings, or to the users who are administrators. None where the organisation has switched it off.
 */
export async function mailAdministrators(
  tx: Queryable,
  mail: NewMail & { kind: keyof typeof SWITCHES },
): Promise<void> {
  const { organizationId, kind } = mail
  const [organization] = await tx
    .select({ notifications: organizations.notifications, language: organizations.language })
    .from(organizations)
    .where(eq(organizations.id, organizationId))
  const isOff = SWITCHES[kind] !== null && organization?.notifications[SWITCHES[kind]] === false
  if (!organization || isOff) return
  const to = organization.notifications.to ?? []
  const recipients = to.length > 0 ? to : await administratorsOf(tx, organizationId)
  await writeMails(tx, mail, recipients, organization.language)
}

/** Mail to anybody who has to do with a meeting, such as an alarm before it. @returns how many were new */
export async function mailPeople(
  tx: Queryable,
  mail: NewMail & { kind: 'meeting.alarm' },
  recipients: readonly string[],
): Promise<number> {
  const [organization] = await tx
    .select({ language: organizations.language })
    .from(organizations)
    .where(eq(organizations.id, mail.organizationId))
  return organization ? writeMails(tx, mail, recipients, organization.language) : 0
}

/** Lower-cased addresses of the users who are administrators. */
async function administratorsOf(db: Queryable, organizationId: string): Promise<string[]> {
  const rows = await db
    .select({ email: users.email })
    .from(users)
    .where(and(eq(users.organizationId, organizationId), eq(users.role, 'admin'), isNull(users.disabledAt)))
    .orderBy(asc(users.email))
  return rows.map(({ email }) => email)
}

async function writeMails(
  tx: Queryable,
  { organizationId, meetingId, kind, facts = {}, onceKey, uselessAt }: NewMail & { kind: MailKind },
  recipients: readonly string[],
  language: 'es' | 'en',
): Promise<number> {
  if (recipients.length === 0) return 0
  const written = await tx
    .insert(mails)
    .values(
      [...new Set(recipients)].map(recipient => ({
        id: newRowId(),
        organizationId,
        meetingId,
        kind,
        facts,
        onceKey,
        recipient,
        language,
        uselessAt: uselessAt ?? sql`now() + ${USEFUL_FOR_MS}::float8 * interval '1 millisecond'`,
      })),
    )
    .onConflictDoNothing()
    .returning({ id: mails.id })
  return written.length
}

/** A mail in the hands of one sender, with what it is about as it is now. */
export interface ClaimedMail {
  mail: MailRow
  meeting: typeof meetings.$inferSelect | null
  recording: typeof recordings.$inferSelect | null
}

/** Takes up to `limit` due mails for `leaseMs`; nobody else gets them meanwhile. Each counts as an attempt. */
export async function claimDueMails(
  db: Database,
  { limit, leaseMs }: { limit: number; leaseMs: number },
): Promise<ClaimedMail[]> {
  return db.transaction(async tx => {
    const claimed = await tx.execute<{ id: string }>(sql`
      update mails set attempts = attempts + 1,
        next_attempt_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
      where id in (
        select id from mails where status = 'pending' and next_attempt_at <= now()
        order by next_attempt_at limit ${limit}::int for update skip locked)
      returning id`)
    const ids = claimed.map(({ id }) => id)
    if (ids.length === 0) return []
    return tx
      .select({ mail: mails, meeting: meetings, recording: recordings })
      .from(mails)
      .leftJoin(meetings, eq(meetings.id, mails.meetingId))
      .leftJoin(recordings, eq(recordings.meetingId, mails.meetingId))
      .where(sql`${mails.id} = any(${sql.param(`{${ids.join(',')}}`)}::uuid[])`)
  })
}

/** What became of an attempt to send. */
export type MailOutcome =
  | { kind: 'sent' }
  | { kind: 'again'; inMs: number; error: string }
  | { kind: 'failed'; error: string }
  /** Not sent, because it is of no use to anybody any more. */
  | { kind: 'dropped' }

/** Writes it down. Does nothing where the lease was lost: then somebody else is at it. */
export async function settleMail(db: Queryable, mail: MailRow, outcome: MailOutcome): Promise<void> {
  const lastError = 'error' in outcome ? outcome.error.slice(0, 500) : null
  await db
    .update(mails)
    .set(
      outcome.kind === 'again'
        ? { lastError, nextAttemptAt: sql`now() + ${outcome.inMs}::float8 * interval '1 millisecond'` }
        : { lastError, status: outcome.kind, finishedAt: sql`now()` },
    )
    .where(and(eq(mails.id, mail.id), eq(mails.status, 'pending'), eq(mails.attempts, mail.attempts)))
}

/** Removes mails that are settled and older than `days`. @returns how many */
export async function purgeMails(db: Queryable, days: number, limit: number): Promise<number> {
  const gone = await db.execute(sql`
    delete from mails where id in (
      select id from mails where created_at < now() - ${days}::int * interval '1 day'
        and (status <> 'pending' or useless_at < now())
      order by created_at limit ${limit}::int for update skip locked)
    returning id`)
  return gone.length
}
