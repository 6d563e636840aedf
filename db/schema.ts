import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Ending } from './endings.ts'
import { ROLES, type Role, type Scope } from './roles.ts'
import { MEETING_STATUSES, type MeetingStatus, RECORDING_STATUSES, type RecordingStatus } from './states.ts'

const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })
const oneOf = (words: readonly string[]) => sql.raw(`(${words.map(word => `'${word}'`).join(', ')})`)

/** Which mail the administrators of an organisation get; what is absent is on. */
export interface NotificationSettings {
  recordingAvailable?: boolean
  recordingFailed?: boolean
  coverageAlert?: boolean
  /** Lower-cased addresses; without any: the users who are administrators. */
  to?: string[]
}

/** Who uses Testigo: every row of theirs carries the organisation's id. */
export const organizations = pgTable('organizations', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** People of this Google Workspace domain may sign in with Google. Set by whoever runs Testigo, who knows whose it is. */
  googleDomain: text('google_domain').unique(),
  /** Lower-cased addresses, beside the installation's own, in whose calendars it may have meetings made. Set by whoever runs Testigo. */
  hosts: jsonb('hosts').$type<string[]>().notNull().default([]),
  /** Of the mail it gets. */
  language: text('language').$type<'es' | 'en'>().notNull().default('es'),
  notifications: jsonb('notifications').$type<NotificationSettings>().notNull().default({}),
  /** Days after its end for which a meeting's recording and people are kept; null: for ever. */
  retentionDays: integer('retention_days'),
  createdAt: instant('created_at').notNull().defaultNow(),
})

/** A key is shown once; here stand its first characters, to recognise it, and its SHA-256. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    name: text('name').notNull(),
    role: text('role').$type<Role>().notNull(),
    /** Null: everything its role may do. */
    scopes: jsonb('scopes').$type<Scope[]>(),
    prefix: text('prefix').notNull(),
    hash: text('hash').notNull().unique(),
    /** The secret before the last rotation, which works beside the new one until then. */
    previousPrefix: text('previous_prefix'),
    previousHash: text('previous_hash').unique(),
    previousUntil: instant('previous_until'),
    /** `key:<id>`, `user:<id>`; null where it was made at the console. */
    createdBy: text('created_by'),
    createdAt: instant('created_at').notNull().defaultNow(),
    rotatedAt: instant('rotated_at'),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
    revokedAt: instant('revoked_at'),
  },
  table => [
    index('api_keys_by_organization').on(table.organizationId, table.createdAt, table.id),
    check('api_keys_role', sql`${table.role} in ${oneOf(ROLES)}`),
  ],
)

/** A person of an organisation. */
export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    /** Lower-cased. The same person may be a user of two organisations. */
    email: text('email').notNull(),
    name: text('name'),
    role: text('role').$type<Role>().notNull(),
    /** Argon2id in the PHC format; null until the person has set one, or for ever where they come by Google. */
    passwordHash: text('password_hash'),
    passwordSetAt: instant('password_set_at'),
    /** Google's id of the person (`sub`), once they have signed in with Google. */
    googleSubject: text('google_subject'),
    lastSignInAt: instant('last_sign_in_at'),
    disabledAt: instant('disabled_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  table => [
    unique('users_email').on(table.organizationId, table.email),
    index('users_by_email').on(table.email),
    check('users_role', sql`${table.role} in ${oneOf(ROLES)}`),
  ],
)

/** Why a session is over before its time. */
export type SessionEnd =
  | 'signed_out'
  | 'reused'
  | 'disabled'
  | 'password_set'
  | 'ended_by_user'
  | 'ended_by_administrator'

/** One signing in of one person: the family of the refresh tokens that follow one another. */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    way: text('way').$type<'password' | 'google'>().notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** However often it is refreshed. */
    expiresAt: instant('expires_at').notNull(),
    revokedAt: instant('revoked_at'),
    revokedBecause: text('revoked_because').$type<SessionEnd>(),
  },
  table => [index('sessions_by_user').on(table.userId), index('sessions_by_end').on(table.expiresAt)],
)

/** Each is used once and followed by the next; one that is used again was copied. */
export const refreshTokens = pgTable(
  'refresh_tokens',
  {
    /** SHA-256. */
    hash: text('hash').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    sessionId: uuid('session_id')
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    usedAt: instant('used_at'),
    /** The token that it was given for; null for the first of a session. */
    previousHash: text('previous_hash'),
    /** Another took its place, since it never seemed to have arrived. */
    replacedAt: instant('replaced_at'),
  },
  table => [index('refresh_tokens_by_session').on(table.sessionId)],
)

/** A link that lets a person set a password, once. */
export const passwordLinks = pgTable(
  'password_links',
  {
    /** SHA-256 of the token in the link. */
    hash: text('hash').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    usedAt: instant('used_at'),
  },
  table => [index('password_links_by_user').on(table.userId)],
)

/** A request that its caller may repeat (`Idempotency-Key`): what it asked, how far it came, and what it was answered. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    /** `key:<id>` or `user:<id>`: nobody meets the keys of others. */
    caller: text('caller').notNull(),
    key: text('key').notNull(),
    /** Method and path, for people who look at the table. */
    request: text('request').notNull(),
    /** SHA-256 of all that makes it this request and no other. */
    requestHash: text('request_hash').notNull(),
    /** What it has changed, noted with the change: a repeat after a crash goes on from there. */
    done: jsonb('done').$type<{ result: unknown }>(),
    /** Whoever answers it holds it until then; a process that died lets it go by that. */
    claim: uuid('claim'),
    claimedUntil: instant('claimed_until'),
    /** Of the answer; null as long as there is none. */
    status: integer('status'),
    /** Headers of the answer that are repeated. */
    headers: jsonb('headers').$type<Record<string, string>>(),
    /** Its body, sealed with the encryption key: it may hold secrets, and people's data. */
    sealedBody: text('sealed_body'),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
  },
  table => [
    unique('idempotency_keys_once').on(table.organizationId, table.caller, table.key),
    index('idempotency_keys_by_end').on(table.expiresAt),
  ],
)

/**
 * Failed signings in by e-mail address, whether there is such a user or not, so that a lock tells nobody who exists.
 * Of no organisation.
 */
export const signInFailures = pgTable(
  'sign_in_failures',
  {
    /** SHA-256 of an organisation's id, or nothing, and the lower-cased address: most of them are nobody's, or mistyped. */
    emailHash: text('email_hash').primaryKey(),
    failures: integer('failures').notNull(),
    lastAt: instant('last_at').notNull(),
    lockedUntil: instant('locked_until'),
  },
  table => [index('sign_in_failures_by_age').on(table.lastAt)],
)

/** Keys that access tokens are signed with. Of no organisation. */
export const signingKeys = pgTable('signing_keys', {
  /** The `kid` of a token's header. */
  id: uuid('id').primaryKey(),
  publicJwk: jsonb('public_jwk').$type<Record<string, unknown>>().notNull(),
  /** The private JWK, sealed with the encryption key for `signing-key:<id>`. */
  sealedPrivate: text('sealed_private').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  /** Published from its creation, so that whoever keeps the published keys knows it before it signs. */
  signsFrom: instant('signs_from').notNull(),
  signsUntil: instant('signs_until').notNull(),
})

/** Limits of one meeting that differ from the settings; seconds (DESIGN.md §5). */
export interface Patience {
  joinLeadSeconds?: number
  waitingRoomSeconds?: number
  nobodyCameSeconds?: number
  everyoneLeftSeconds?: number
  onlyBotsSeconds?: number
  longestExtraSeconds?: number
}

/** What Google said when the space was configured; a refusal never fails a meeting. */
export interface SpaceConfiguration {
  accessType?: string
  autoRecording?: 'on' | 'refused' | 'not_asked'
  refusals: string[]
}

/** When people are reminded of a meeting: by mail, or by a note of their calendar. */
export interface Reminder {
  channel: 'email' | 'popup'
  amount: number
  unit: 'minutes' | 'hours' | 'days' | 'weeks'
}

/** What the meetings of a series have in common, for those that are made later. */
export interface SeriesTemplate {
  topic: string
  description: string | null
  relatedType: string | null
  relatedId: string | null
  customFields: Record<string, unknown> | null
  patience: Patience
  redundancy: number
  reminders: Reminder[]
  participants: { email: string; name: string | null; role: 'host' | 'participant' }[]
}

/** A meeting that comes again by a rule: one recurring event in the calendar, and one meeting for each time. */
/**
 * What the recurring event of a series said when it was last written or read: who changed a field since, a caller or a
 * person in the calendar, is told by it. Words and people are fingerprints.
 */
export interface SeriesSeen {
  /** Fingerprint of start, length, time zone and rule. */
  times: string
  topic: string
  description: string
  guests: string
  /** ISO 8601: starts that the event itself says do not take place. */
  exceptions: string[]
  /** Its etag when it was found cancelled and the caller's change was kept. */
  cancelledEtag?: string
}

export const series = pgTable(
  'series',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    externalId: text('external_id'),
    /** The value of the RRULE, in normal form. */
    rule: text('rule').notNull(),
    /** The first start that the rule makes. */
    startsAt: instant('starts_at').notNull(),
    lengthMs: integer('length_ms').notNull(),
    /** Whose clock on the wall the series goes by. */
    timeZone: text('time_zone').notNull(),
    /** ISO 8601: starts that the rule makes and that do not take place. */
    exceptions: jsonb('exceptions').$type<string[]>().notNull().default([]),
    template: jsonb('template').$type<SeriesTemplate>().notNull(),
    status: text('status').$type<'active' | 'cancelled'>().notNull().default('active'),
    /** Meetings up to then, and not at it, have been made. */
    expandedUntil: instant('expanded_until').notNull(),
    /** The series that this one took over from, and goes on where that one ends. */
    continues: uuid('continues').references((): AnyPgColumn => series.id),
    organizer: text('organizer').notNull(),
    eventId: text('event_id').notNull(),
    joinUrl: text('join_url'),
    meetingCode: text('meeting_code'),
    spaceName: text('space_name'),
    space: jsonb('space').$type<SpaceConfiguration>(),
    /** Counts what callers changed; Google is up to date when `syncedRevision` has caught up. */
    revision: integer('revision').notNull().default(1),
    syncedRevision: integer('synced_revision').notNull().default(0),
    createdBy: text('created_by'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    cancelledAt: instant('cancelled_at'),
    /** As the event was when it was last written or read; see {@link SeriesSeen}. */
    calendarSeen: jsonb('calendar_seen').$type<SeriesSeen>(),
  },
  table => [
    unique('series_external_id').on(table.organizationId, table.externalId),
    index('series_by_event').on(table.eventId),
    index('series_to_expand').on(table.expandedUntil).where(sql`${table.status} = 'active'`),
    index('series_to_sync').on(table.updatedAt).where(sql`${table.syncedRevision} < ${table.revision}`),
    check('series_status', sql`${table.status} in ('active', 'cancelled')`),
    check('series_length', sql`${table.lengthMs} > 0`),
  ],
)

/** The JSON Schema that custom fields of an organisation's meetings follow. */
export const customFieldSchemas = pgTable('custom_field_schemas', {
  organizationId: uuid('organization_id')
    .primaryKey()
    .references(() => organizations.id),
  schema: jsonb('schema').$type<Record<string, unknown>>().notNull(),
  /** Counts the changes. */
  version: integer('version').notNull().default(1),
  updatedBy: text('updated_by').notNull(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
})

/**
 * What an event said when it was last read: who changed a field since, a caller or a person in the calendar, is told by
 * it. Values are fingerprints, so that nothing of a person is kept here.
 */
export interface CalendarSeen {
  etag: string
  /** ISO 8601. */
  updatedAt: string | null
  /** Fingerprints; empty for one that was erased. */
  fields: Record<string, string>
  /** Its etag when it was found cancelled, whatever followed: the meeting's end too, or a caller's change was kept. */
  cancelledEtag?: string
}

export const meetings = pgTable(
  'meetings',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    externalId: text('external_id'),
    topic: text('topic').notNull(),
    description: text('description'),
    startsAt: instant('starts_at').notNull(),
    endsAt: instant('ends_at').notNull(),
    timeZone: text('time_zone').notNull(),
    status: text('status').$type<MeetingStatus>().notNull().default('scheduled'),
    relatedType: text('related_type'),
    relatedId: text('related_id'),
    customFields: jsonb('custom_fields').$type<Record<string, unknown>>(),
    patience: jsonb('patience').$type<Patience>().notNull().default({}),
    /** How many recorders record the call at the same time: 1, or 2 on different hosts with different bot accounts. */
    redundancy: integer('redundancy').notNull().default(1),
    reminders: jsonb('reminders').$type<Reminder[]>().notNull().default([]),
    /** When the next mail of these is due; null when none is any more. */
    nextReminderAt: instant('next_reminder_at'),
    /** The series whose meeting it is, and the start that the rule gave it, also after it was moved. */
    seriesId: uuid('series_id').references(() => series.id),
    originalStart: instant('original_start'),
    /** Fields in which it differs from its series: a change of all leaves them alone. */
    ownFields: jsonb('own_fields').$type<string[]>().notNull().default([]),
    provider: text('provider').notNull().default('google_meet'),
    /** Calendar whose owner is impersonated. */
    organizer: text('organizer').notNull(),
    /** Made by us, so that an insert repeated after a crash makes no second event (google-apis.md §1.3). */
    eventId: text('event_id').notNull(),
    joinUrl: text('join_url'),
    meetingCode: text('meeting_code'),
    spaceName: text('space_name'),
    space: jsonb('space').$type<SpaceConfiguration>(),
    /** Counts what callers changed; Google is up to date when `syncedRevision` has caught up. */
    revision: integer('revision').notNull().default(1),
    syncedRevision: integer('synced_revision').notNull().default(0),
    /** As the event was when the calendar was last read; see {@link CalendarSeen}. */
    calendarSeen: jsonb('calendar_seen').$type<CalendarSeen>(),
    /** The recurring event whose instance it is, where it was found in a calendar and not made by us. */
    calendarSeries: text('calendar_series'),
    actualStart: instant('actual_start'),
    actualEnd: instant('actual_end'),
    /** `key:<id>` or `user:<id>`, whose own meeting it is; null where Testigo made it by itself. */
    createdBy: text('created_by'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    cancelledAt: instant('cancelled_at'),
    /** In the place of the organisation's; null: as the organisation has it. */
    retentionDays: integer('retention_days'),
    /** Nothing of it is erased as long as it is held. */
    legalHold: boolean('legal_hold').notNull().default(false),
    legalHoldReason: text('legal_hold_reason'),
    /** Since then its recording is being erased, which cannot be stopped any more. */
    erasingSince: instant('erasing_since'),
    /** Object Lock keeps objects of it until then; erasing goes on afterwards. */
    erasureBlockedUntil: instant('erasure_blocked_until'),
    /** Since then all that is left is that it took place. */
    erasedAt: instant('erased_at'),
  },
  table => [
    index('meetings_by_creator').on(table.organizationId, table.createdBy),
    unique('meetings_external_id').on(table.organizationId, table.externalId),
    index('meetings_by_event').on(table.eventId),
    index('meetings_by_space').on(table.spaceName).where(sql`${table.spaceName} is not null`),
    index('meetings_by_calendar_series')
      .on(table.calendarSeries)
      .where(sql`${table.calendarSeries} is not null`),
    index('meetings_cancelled')
      .on(sql`lower(${table.organizer})`, table.cancelledAt)
      .where(sql`${table.cancelledAt} is not null`),
    index('meetings_by_start').on(table.organizationId, table.startsAt, table.id),
    index('meetings_by_creation').on(table.organizationId, table.createdAt, table.id),
    index('meetings_by_status').on(table.organizationId, table.status, table.startsAt, table.id),
    index('meetings_by_status_and_creation').on(
      table.organizationId,
      table.status,
      table.createdAt,
      table.id,
    ),
    index('meetings_by_organizer').on(table.organizationId, table.organizer, table.startsAt, table.id),
    index('meetings_by_related').on(
      table.organizationId,
      table.relatedType,
      table.relatedId,
      table.startsAt,
      table.id,
    ),
    index('meetings_by_series')
      .on(table.organizationId, table.seriesId, table.startsAt, table.id)
      .where(sql`${table.seriesId} is not null`),
    uniqueIndex('meetings_of_series')
      .on(table.seriesId, table.originalStart)
      .where(sql`${table.status} <> 'cancelled'`),
    index('meetings_to_sync').on(table.updatedAt).where(sql`${table.syncedRevision} < ${table.revision}`),
    index('meetings_to_remind').on(table.nextReminderAt).where(sql`${table.nextReminderAt} is not null`),
    check('meetings_series', sql`(${table.seriesId} is null) = (${table.originalStart} is null)`),
    check('meetings_status', sql`${table.status} in ${oneOf(MEETING_STATUSES)}`),
    check('meetings_end_after_start', sql`${table.endsAt} > ${table.startsAt}`),
  ],
)

/** What somebody invited has answered. */
export type InvitationResponse = 'needs_action' | 'accepted' | 'tentative' | 'declined'

/**
 * What a meeting is found by beside its own columns, one row for each: who is invited, custom fields, where its recording
 * stands. Carries what lists are ordered by, so that a page of any of them is one short walk along an index. Written by
 * triggers only (db/meeting-search.sql), which is why nothing refers to anything.
 */
export const meetingTerms = pgTable(
  'meeting_terms',
  {
    organizationId: uuid('organization_id').notNull(),
    meetingId: uuid('meeting_id').notNull(),
    /** As `testigo_term` makes it. */
    term: text('term').notNull(),
    startsAt: instant('starts_at').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.meetingId, table.term] }),
    index('meeting_terms_by_start').on(table.organizationId, table.term, table.startsAt, table.meetingId),
    index('meeting_terms_by_creation').on(table.organizationId, table.term, table.createdAt, table.meetingId),
  ],
)

const searchWords = customType<{ data: string }>({ dataType: () => 'tsvector' })

/**
 * The words of a meeting's topic, description and external id, and what lists are ordered by. Written by triggers only
 * (db/meeting-search.sql).
 */
export const meetingWords = pgTable(
  'meeting_words',
  {
    organizationId: uuid('organization_id').notNull(),
    meetingId: uuid('meeting_id').primaryKey(),
    /** Each behind the first characters of its organisation's id: no organisation's words slow another's search down. */
    words: searchWords('words').notNull(),
    startsAt: instant('starts_at').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  // Without a list of words to be sorted in later, which every search would have to look through and somebody's meeting wait for.
  table => [index('meeting_words_by_word').using('gin', table.words).with({ fastupdate: false })],
)

export const participants = pgTable(
  'participants',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    meetingId: uuid('meeting_id')
      .notNull()
      .references(() => meetings.id),
    email: text('email').notNull(),
    name: text('name'),
    role: text('role').$type<'host' | 'participant'>().notNull().default('participant'),
    /** What they answered to the invitation, as the calendar has it. */
    response: text('response').$type<InvitationResponse>().notNull().default('needs_action'),
    respondedAt: instant('responded_at'),
    /** Taken off the invitation; the row stays as part of the record. */
    removedAt: instant('removed_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  table => [
    unique('participants_email').on(table.meetingId, table.email),
    check(
      'participants_response',
      sql`${table.response} in ('needs_action', 'accepted', 'tentative', 'declined')`,
    ),
    index('participants_by_email').on(table.organizationId, table.email),
  ],
)

/**
 * One stay of one person in the call. As the bot saw it, `personKey` is the id of the person's tile; as Google's own
 * record has it, the name of the participant session, and no attempt.
 */
export const presences = pgTable(
  'presences',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    meetingId: uuid('meeting_id')
      .notNull()
      .references(() => meetings.id),
    /** `told`: by Workspace Events while the call was on, until Google's own record is read whole. */
    source: text('source').$type<'bot' | 'google' | 'told'>().notNull().default('bot'),
    attemptId: uuid('attempt_id').references(() => attempts.id),
    personKey: text('person_key').notNull(),
    name: text('name'),
    /** One of our own bots: its presence is no reason to record. */
    bot: boolean('bot').notNull().default(false),
    joinedAt: instant('joined_at').notNull(),
    leftAt: instant('left_at'),
  },
  table => [index('presences_by_meeting').on(table.meetingId, table.joinedAt)],
)

/** What a finished recording was found to be; every check has a sentence. */
export interface ContentCheck {
  ok: boolean
  detail: string
  [measure: string]: unknown
}
export type ContentChecks = Record<string, ContentCheck>

/** A stretch of the finished file and the time of the database's clock at which it was recorded. */
export interface TimelineEntry {
  fileStartMs: number
  fileEndMs: number
  /** ISO 8601, to the millisecond. */
  clockStart: string
  clockEnd: string
  /** Number of the attempt whose picture and sound these are. */
  attempt: number
}

/** A stretch of time that is missing in the recording. */
export interface Gap {
  /** ISO 8601, to the millisecond. */
  from: string
  to: string
  ms: number
  reason: Ending | 'segment_lost' | 'not_yet_recording' | 'ended_too_early'
}

/** Which part of the time in which a person was in the call is in the recording. */
export interface Coverage {
  /** `google`: from Google's own record of the conference; `bot`: from what the bot saw. */
  source: 'google' | 'bot'
  /** Google's record no longer changes. */
  final: boolean
  /** 0 to 100; null when no person was ever there. */
  percent: number | null
  humanMs: number
  recordedMs: number
  gaps: Gap[]
}

/** A recording made by Google itself, copied to our bucket as a second source. */
export interface NativeRecording {
  /** Resource name of the Meet REST API. */
  name: string
  driveFileId: string
  s3Key: string
  sha256: string
  /** What Drive says of its file; null where it says nothing. */
  driveSha256: string | null
  sizeBytes: number
  startedAt: string | null
  endedAt: string | null
  copiedAt: string
}

export const recordings = pgTable(
  'recordings',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    meetingId: uuid('meeting_id')
      .notNull()
      .unique()
      .references(() => meetings.id),
    status: text('status').$type<RecordingStatus>().notNull().default('pending'),
    ending: text('ending').$type<Ending>(),
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
    availableAt: instant('available_at'),
    durationMs: bigint('duration_ms', { mode: 'number' }),
    sizeBytes: bigint('size_bytes', { mode: 'number' }),
    sha256: text('sha256'),
    s3Key: text('s3_key'),
    /** Counts the finished files: late segments make a new one. 0 before the first. */
    revision: integer('revision').notNull().default(0),
    manifestKey: text('manifest_key'),
    manifestSha256: text('manifest_sha256'),
    timeline: jsonb('timeline').$type<TimelineEntry[]>(),
    gaps: jsonb('gaps').$type<Gap[]>(),
    coverage: jsonb('coverage').$type<Coverage>(),
    coverageAlertAt: instant('coverage_alert_at'),
    /** Google's names of the conferences that took place in the meeting's space at its time. */
    conferences: jsonb('conferences').$type<string[]>().notNull().default([]),
    nativeRecordings: jsonb('native_recordings').$type<NativeRecording[]>().notNull().default([]),
    checks: jsonb('checks').$type<ContentChecks>(),
    /** `none` where no Drive folder is configured. */
    driveStatus: text('drive_status')
      .$type<'none' | 'pending' | 'uploaded' | 'failed'>()
      .notNull()
      .default('none'),
    driveFileId: text('drive_file_id'),
    driveLink: text('drive_link'),
    /** Kept so that an upload cut short goes on where it stopped; a secret until the upload is over. */
    driveSessionUri: text('drive_session_uri'),
    driveError: text('drive_error'),
    segmentsRemovedAt: instant('segments_removed_at'),
    /** When rows and bucket were last compared. */
    bucketCheckedAt: instant('bucket_checked_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  table => [
    check('recordings_status', sql`${table.status} in ${oneOf(RECORDING_STATUSES)}`),
    // Who erases one of Google's own recordings asks which other meetings have it.
    index('recordings_by_native_file')
      .using('gin', table.nativeRecordings.op('jsonb_path_ops'))
      .where(sql`${table.nativeRecordings} <> '[]'`),
  ],
)

/** What an attempt that went wrong left behind to look at. */
export interface Artefact {
  kind: 'screenshot' | 'html'
  key: string
  takenAt: string
  screen: string
}

export const attempts = pgTable(
  'attempts',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    recordingId: uuid('recording_id')
      .notNull()
      .references(() => recordings.id),
    number: integer('number').notNull(),
    /** 0, or 1 for the second recorder of a meeting with redundancy 2. */
    lane: integer('lane').notNull().default(0),
    /** Which recorder: host name and process id. */
    recorder: text('recorder').notNull(),
    botAccount: text('bot_account'),
    startedAt: instant('started_at').notNull().defaultNow(),
    admittedAt: instant('admitted_at'),
    endedAt: instant('ended_at'),
    heartbeatAt: instant('heartbeat_at').notNull().defaultNow(),
    /** Counts the signs of life: a count that stands still is a dead attempt, whatever anybody's clock says. */
    beats: integer('beats').notNull().default(0),
    /** Since then another recorder may come and take over while this one still records. */
    handoverAt: instant('handover_at'),
    /** When the next attempt of this lane may begin; null where none follows. */
    retryAt: instant('retry_at'),
    /** Nothing follows in this lane: the call is over for it. */
    concluded: boolean('concluded').notNull().default(false),
    /** Milliseconds to add to this machine's clock to get the database's. */
    clockOffsetMs: integer('clock_offset_ms').notNull().default(0),
    /** When somebody was seen speaking: media time of this attempt, milliseconds. */
    speech: jsonb('speech').$type<{ fromMs: number; toMs: number }[]>().notNull().default([]),
    ending: text('ending').$type<Ending>(),
    /** What was seen when it ended, in words for an administrator. */
    detail: text('detail'),
    /** Milliseconds of this attempt's picture that showed the waiting room or another screen, not the call. */
    notInCallMs: integer('not_in_call_ms').notNull().default(0),
    artefacts: jsonb('artefacts').$type<Artefact[]>().notNull().default([]),
  },
  table => [
    unique('attempts_number').on(table.recordingId, table.number),
    index('attempts_living').on(table.id).where(sql`${table.endedAt} is null`),
  ],
)

/** One object in S3: number 0 is the attempt's initialisation segment, then a few seconds of media each. */
export const segments = pgTable(
  'segments',
  {
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    attemptId: uuid('attempt_id')
      .notNull()
      .references(() => attempts.id),
    number: integer('number').notNull(),
    s3Key: text('s3_key').notNull(),
    sha256: text('sha256').notNull(),
    sizeBytes: integer('size_bytes').notNull(),
    /** Media time within the attempt. */
    startMs: bigint('start_ms', { mode: 'number' }).notNull(),
    durationMs: integer('duration_ms').notNull(),
    /** Wall clock of its first and its last frame. */
    startedAt: instant('started_at').notNull(),
    endedAt: instant('ended_at').notNull(),
    storedAt: instant('stored_at').notNull(),
    /** Only its key frames keep their picture; the sound is whole. */
    thinned: boolean('thinned').notNull().default(false),
  },
  table => [
    primaryKey({ columns: [table.attemptId, table.number] }),
    uniqueIndex('segments_key').on(table.s3Key),
  ],
)

/** Every change of a meeting or its recording, with its reason: the log a person reads to see what happened. */
export const meetingEvents = pgTable(
  'meeting_events',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    meetingId: uuid('meeting_id')
      .notNull()
      .references(() => meetings.id),
    at: instant('at').notNull().defaultNow(),
    /** Who: `api_key:<prefix>`, `recorder:<name>`, `job:<name>`. */
    actor: text('actor').notNull(),
    kind: text('kind').notNull(),
    ending: text('ending').$type<Ending>(),
    detail: jsonb('detail').$type<Record<string, unknown>>().notNull().default({}),
  },
  table => [index('meeting_events_by_meeting').on(table.meetingId, table.id)],
)

/** What happened and who did it, append only: each row holds the hash of the one before it (one chain per organisation). */
export const auditLog = pgTable(
  'audit_log',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    /** 1, 2, 3 … without holes within the organisation. */
    seq: bigint('seq', { mode: 'number' }).notNull(),
    at: instant('at').notNull(),
    /** `api_key:<prefix>`, `recorder:<name>`, `job:<name>`, `google`. */
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    /** What it was done to, such as `recording:<id>`. */
    subject: text('subject').notNull(),
    detail: jsonb('detail').$type<Record<string, unknown>>().notNull().default({}),
    prevHash: text('prev_hash').notNull(),
    hash: text('hash').notNull(),
    /** The note it was; null for evidence, which is chained at once. Not part of the hash. */
    entryId: bigint('entry_id', { mode: 'number' }).unique(),
  },
  table => [
    unique('audit_log_seq').on(table.organizationId, table.seq),
    index('audit_log_by_subject').on(table.organizationId, table.subject, table.seq),
    index('audit_log_by_actor').on(table.organizationId, table.actor, table.seq),
    index('audit_log_by_action').on(table.organizationId, table.action.op('text_pattern_ops'), table.seq),
    index('audit_log_by_time').on(table.organizationId, table.at),
  ],
)

/** Notes for the audit log, committed with what they tell about and not in the chain yet (see `noteAudit`). */
export const auditPending = pgTable(
  'audit_pending',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    at: instant('at').notNull().default(sql`date_trunc('milliseconds', clock_timestamp())`),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    subject: text('subject').notNull(),
    detail: jsonb('detail').$type<Record<string, unknown>>().notNull().default({}),
  },
  table => [index('audit_pending_by_organization').on(table.organizationId, table.id)],
)

/** Mail on its way to one person: written in the transaction of what it tells about. */
export const mails = pgTable(
  'mails',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    kind: text('kind').$type<MailKind>().notNull(),
    /** Null for what is about no meeting. */
    meetingId: uuid('meeting_id').references(() => meetings.id),
    /** Lower-cased. */
    recipient: text('recipient').notNull(),
    language: text('language').$type<'es' | 'en'>().notNull(),
    /** What the text needs beside the meeting as it is when the mail goes out. */
    facts: jsonb('facts').$type<Record<string, unknown>>().notNull().default({}),
    /** The same is told to the same person once only. */
    onceKey: text('once_key').notNull(),
    status: text('status').$type<'pending' | 'sent' | 'failed' | 'dropped'>().notNull().default('pending'),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: instant('next_attempt_at').notNull().defaultNow(),
    /** Of no use to anybody after that. */
    uselessAt: instant('useless_at'),
    lastError: text('last_error'),
    createdAt: instant('created_at').notNull().defaultNow(),
    finishedAt: instant('finished_at'),
  },
  table => [
    unique('mails_once').on(table.onceKey, table.recipient),
    index('mails_due').on(table.nextAttemptAt).where(sql`${table.status} = 'pending'`),
    index('mails_by_age').on(table.createdAt),
  ],
)

/** Mail about a meeting. */
export type MeetingMailKind = 'recording.available' | 'recording.failed' | 'coverage.alert' | 'meeting.alarm'
export type MailKind = MeetingMailKind | 'webhook.disabled'

/** A signing secret of a webhook, sealed with the encryption key (never as it is). */
export interface SealedSecret {
  sealed: string
  /** ISO 8601. */
  createdAt: string
  /** Null for the one in force; the one before it signs too until then. */
  expiresAt: string | null
}

/** Where an organisation wants to be told of events. */
export const webhookEndpoints = pgTable(
  'webhook_endpoints',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    url: text('url').notNull(),
    description: text('description'),
    /** Null: all, also those added later. */
    eventTypes: jsonb('event_types').$type<string[]>(),
    /** The newest first. */
    secrets: jsonb('secrets').$type<SealedSecret[]>().notNull(),
    status: text('status').$type<'enabled' | 'disabled'>().notNull().default('enabled'),
    disabledReason: text('disabled_reason').$type<'by_request' | 'gone' | 'failing'>(),
    disabledAt: instant('disabled_at'),
    /** Since then nothing sent there has succeeded. */
    failingSince: instant('failing_since'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  table => [index('webhook_endpoints_by_organization').on(table.organizationId, table.createdAt, table.id)],
)

/** What happened, as webhooks tell it: written in the transaction of the change, where an endpoint wants to know. */
export const webhookEvents = pgTable(
  'webhook_events',
  {
    /** `evt_…`: the webhook-id of every delivery. */
    id: text('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    /** Grows with every event; of two about one meeting the greater is the newer. */
    sequence: bigint('sequence', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    type: text('type').notNull(),
    /** Of the shape of `payload`. */
    version: integer('version').notNull(),
    occurredAt: instant('occurred_at').notNull(),
    payload: jsonb('payload').$type<Record<string, unknown>>().notNull(),
    meetingId: uuid('meeting_id').references(() => meetings.id),
    recordingId: uuid('recording_id').references(() => recordings.id),
    /** What is told only once, however often its writer repeats itself. */
    onceKey: text('once_key').unique(),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  table => [index('webhook_events_by_age').on(table.createdAt)],
)

/** One post of an event to an endpoint, and how it went. */
export interface DeliveryAttempt {
  /** ISO 8601. */
  at: string
  durationMs: number
  /** Of the HTTP answer; null where none came. */
  status: number | null
  /** Why it counts as failed; null for a success. */
  error: string | null
  /** The first 1,024 bytes of the answer. */
  answer: string | null
}

/** One event on its way to one endpoint. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    endpointId: uuid('endpoint_id')
      .notNull()
      .references(() => webhookEndpoints.id, { onDelete: 'cascade' }),
    eventId: text('event_id')
      .notNull()
      .references(() => webhookEvents.id, { onDelete: 'cascade' }),
    status: text('status').$type<'pending' | 'succeeded' | 'failed'>().notNull().default('pending'),
    /** Posts since it was made or asked for again: decides how long the next wait is. */
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: instant('next_attempt_at'),
    /** Whoever posts it holds it until then; a process that died lets it go by that. */
    claim: uuid('claim'),
    claimedUntil: instant('claimed_until'),
    log: jsonb('log').$type<DeliveryAttempt[]>().notNull().default([]),
    createdAt: instant('created_at').notNull().defaultNow(),
    finishedAt: instant('finished_at'),
  },
  table => [
    unique('webhook_deliveries_once').on(table.eventId, table.endpointId),
    index('webhook_deliveries_due')
      .on(table.endpointId, table.nextAttemptAt)
      .where(sql`${table.status} = 'pending'`),
    index('webhook_deliveries_by_endpoint').on(table.endpointId, table.createdAt, table.id),
  ],
)

/**
 * Calendars whose changes are followed: those in which meetings are made, and those that are captured. Of no
 * organisation, as several may have meetings in one calendar; nobody who answers callers sees it.
 */
export const followedCalendars = pgTable(
  'followed_calendars',
  {
    /** Lower-cased address of the Workspace user, who is impersonated. */
    calendar: text('calendar').primaryKey(),
    /** Where the next reading goes on; null: everything is read. */
    syncToken: text('sync_token'),
    syncedAt: instant('synced_at'),
    /** When everything was read last, not changes alone. */
    wholeAt: instant('whole_at'),
    /** The next reading where no push comes before. */
    syncAt: instant('sync_at').notNull().defaultNow(),
    /** Readings in a row that failed. */
    failures: integer('failures').notNull().default(0),
    lastError: text('last_error'),
    /** When channel and subscription are to be looked after. */
    upkeepAt: instant('upkeep_at').notNull().defaultNow(),
    upkeepFailures: integer('upkeep_failures').notNull().default(0),
    upkeepError: text('upkeep_error'),
    /** Google's number of the user, which names all the calls they own. */
    googleUserId: text('google_user_id'),
    /** `subscriptions/…` of Workspace Events. */
    subscription: text('subscription'),
    subscriptionExpiresAt: instant('subscription_expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  table => [
    index('followed_calendars_to_sync').on(table.syncAt),
    index('followed_calendars_to_keep').on(table.upkeepAt),
  ],
)

/** Push channels on these calendars. A row is written before Google is asked, so that no channel is unknown to us. */
export const calendarChannels = pgTable(
  'calendar_channels',
  {
    id: text('id').primaryKey(),
    calendar: text('calendar')
      .notNull()
      .references(() => followedCalendars.calendar, { onDelete: 'cascade' }),
    /** SHA-256 of the secret that every push carries. */
    tokenHash: text('token_hash').notNull(),
    /** Where Google pushes to. */
    address: text('address').notNull(),
    /** Null until Google has said it, by its answer or by a push. */
    resourceId: text('resource_id'),
    expiresAt: instant('expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  table => [index('calendar_channels_by_calendar').on(table.calendar, table.createdAt)],
)
