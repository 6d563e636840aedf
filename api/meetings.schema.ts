import { z } from 'zod'
import { MOST_REMINDERS, REMINDER_CHANNELS, REMINDER_UNITS, reminderFaults } from '../calendar/reminders.ts'
import { hasPlainText, isPlainData } from './plain-data.ts'
import type { ProblemCode } from './problem.ts'

/** What callers send, and the limits of it. Unknown fields are refused: a misspelt one would be lost silently. */

export const LONGEST_MEETING_HOURS = 24
export const MOST_PARTICIPANTS = 200
const CUSTOM_FIELDS_BYTES = 16_384

// Google Calendar takes 8192 characters of description; the notice of recording needs some of them.
const DESCRIPTION_LENGTH = 7500

const refusedAs = (code: ProblemCode, error: string) => ({ params: { code }, error })

export const words = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine(hasPlainText, { error: 'must not contain NUL or half characters' })

const rfc3339 = z.iso.datetime({
  offset: true,
  error:
    'must be an RFC 3339 date-time with its offset, such as 2026-11-23T10:00:00-05:00 (in an address, write + as %2B)',
})
const OF_INSTANT = { description: 'RFC 3339 with an offset', example: '2026-11-23T10:00:00-05:00' }

export const dateTime = rfc3339.transform(text => new Date(text)).meta(OF_INSTANT)

export const ALL_DAY =
  'is a day without a time: all-day events are not recorded. Send when the call begins and ends, such as 2026-11-23T10:00:00-05:00'

// Google Calendar keeps whole seconds: with fractions, its own event would look like one that people moved.
const wholeSecond = (at: Date) => new Date(Math.floor(at.getTime() / 1000) * 1000)

const meetingTime = z
  .string()
  .refine(text => !/^\d{4}-\d{2}-\d{2}$/.test(text), {
    ...refusedAs('all_day', ALL_DAY),
    abort: true,
  })
  .check(rfc3339)
  .transform(text => wholeSecond(new Date(text)))
  .meta({ ...OF_INSTANT, description: 'RFC 3339 with an offset; fractions of a second are left out' })

// What the page of /docs offers to try.
const NEW_MEETING_EXAMPLE = {
  topic: 'Comité clínico',
  description: 'Revisión del caso 17',
  start: '2026-11-23T10:00:00-05:00',
  end: '2026-11-23T11:00:00-05:00',
  timeZone: 'America/Bogota',
  participants: [
    { email: 'ana@clinica.example', name: 'Ana Ruiz', role: 'host' },
    { email: 'luis@clinica.example', name: 'Luis Paz' },
  ],
  externalId: 'XOMA-2026-000123',
  related: { type: 'case', id: '17' },
  customFields: { sede: 'Bogotá' },
}

export const email = z
  .email('must be an e-mail address, such as ana@clinica.example')
  .max(254)
  .transform(address => address.toLowerCase())
  .meta({ example: 'ana@clinica.example' })

const timeZone = z
  .string()
  .max(64)
  .refine(
    name => canonicalTimeZone(name) !== undefined,
    refusedAs('unknown_time_zone', 'must be an IANA time zone, such as America/Bogota'),
  )
  .transform(name => canonicalTimeZone(name) ?? name)
  .meta({ description: 'IANA name: how the calendar shows the times', example: 'America/Bogota' })

export const invited = z
  .strictObject({
    email,
    name: words(200).nullish().meta({ description: 'As Meet shows it, so that who came can be matched' }),
    role: z.enum(['host', 'participant']).default('participant'),
  })
  .meta({ id: 'Invited' })

const participants = z
  .array(invited)
  .max(MOST_PARTICIPANTS, `must be at most ${MOST_PARTICIPANTS} people`)
  .superRefine((people, context) => {
    const seen = new Set<string>()
    for (const [at, person] of people.entries()) {
      if (seen.has(person.email))
        context.addIssue({
          code: 'custom',
          path: [at, 'email'],
          message: `${person.email} is invited twice`,
          params: { code: 'duplicate_participant' satisfies ProblemCode },
        })
      seen.add(person.email)
    }
  })

const customFields = z
  .record(z.string(), z.unknown())
  .refine(isPlainData, {
    error: 'must be at most 32 levels deep, without NUL or half characters',
    abort: true,
  })
  .refine(
    fields => Buffer.byteLength(JSON.stringify(fields)) <= CUSTOM_FIELDS_BYTES,
    refusedAs('custom_fields_too_large', `must be at most ${CUSTOM_FIELDS_BYTES} bytes of JSON`),
  )
  .meta({ description: `Kept and given back unread; at most ${CUSTOM_FIELDS_BYTES} bytes of JSON` })

const waitSeconds = (from: number, to: number, description: string) =>
  z.int().min(from).max(to).optional().meta({ description })

const patience = z
  .strictObject({
    joinLeadSeconds: waitSeconds(0, 900, 'How long before the start the bot joins'),
    waitingRoomSeconds: waitSeconds(5, 3600, 'How long one knock waits'),
    nobodyCameSeconds: waitSeconds(5, 86_400, 'How long after the start the bot waits for the first person'),
    everyoneLeftSeconds: waitSeconds(1, 3600, 'How long the bot stays after everyone left'),
    onlyBotsSeconds: waitSeconds(1, 3600, 'How long the bot stays with other bots only'),
    longestExtraSeconds: waitSeconds(60, 86_400, 'How long past its scheduled end a call is recorded'),
  })
  .meta({ id: 'Patience', description: 'Limits of this meeting where they differ from the settings' })

const REMINDER_FAULTS = {
  bad_amount: 'must be a whole number from 0',
  too_early: 'must be at most 4 weeks before',
  too_many: `must be at most ${MOST_REMINDERS}`,
  twice: 'stands there twice',
} as const

const reminders = z
  .array(
    z
      .strictObject({
        channel: z.enum(REMINDER_CHANNELS).meta({ description: 'A mail, or a note of the calendar' }),
        amount: z.int().min(0),
        unit: z.enum(REMINDER_UNITS),
      })
      .meta({ id: 'Reminder', description: 'So long before the start; days and weeks keep the time of day' }),
  )
  .superRefine((rules, context) => {
    for (const { index, code } of reminderFaults(rules))
      context.addIssue({
        code: 'custom',
        path: [index],
        message: REMINDER_FAULTS[code],
        params: { code: 'bad_reminder' satisfies ProblemCode },
      })
  })
  .meta({ example: [{ channel: 'email', amount: 1, unit: 'days' }] })

const recurrence = z
  .array(z.string().max(20_000))
  .min(1)
  .max(100)
  .meta({
    description:
      'Lines of RFC 5545: one "RRULE:…" (daily, weekly, monthly, yearly) and any number of "EXDATE…:…"; the first meeting is the one of start and end, and the wall-clock time of timeZone is kept',
    example: ['RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=10', 'EXDATE:20261221T150000Z'],
  })

const related = z
  .strictObject({ type: words(100), id: words(200) })
  .meta({ id: 'Related', description: 'The object of your system that the meeting is about' })

export const newMeetingSchema = z
  .strictObject({
    topic: words(300),
    description: words(DESCRIPTION_LENGTH).nullish(),
    start: meetingTime,
    end: meetingTime,
    timeZone: timeZone.default('UTC'),
    organizer: email.optional().meta({
      description:
        'The host: the Workspace user in whose calendar the meeting is made, of those that your organisation may name. It does not change afterwards. Left out: the usual one',
      example: 'agenda@clinica.example',
    }),
    participants: participants.default([]),
    externalId: words(200).nullish().meta({
      description:
        'Your own id of the meeting, unique in your organisation. With it a request whose answer was lost can be repeated safely',
    }),
    related: related.nullish(),
    customFields: customFields.nullish(),
    reminders: reminders.default([]),
    recurrence: recurrence.optional(),
    patience: patience.nullish(),
    redundancy: z
      .union([z.literal(1), z.literal(2)])
      .default(1)
      .meta({
        description:
          'How many recorders record the call: 2 sends two bots from two hosts, with two accounts, and the video takes the best of both',
      }),
  })
  .meta({ id: 'NewMeeting', example: NEW_MEETING_EXAMPLE })

export const meetingChangeSchema = z
  .strictObject({
    topic: words(300).optional(),
    description: words(DESCRIPTION_LENGTH).nullable().optional(),
    start: meetingTime.optional(),
    end: meetingTime.optional(),
    timeZone: timeZone.optional(),
    participants: participants.optional().meta({ description: 'The whole new list' }),
    related: related.nullable().optional(),
    customFields: customFields.nullable().optional(),
    patience: patience
      .nullable()
      .optional()
      .meta({ description: 'The whole new object; null: as the settings have it' }),
    reminders: reminders.optional().meta({ description: 'The whole new list' }),
    recurrence: recurrence.optional().meta({ description: 'Another rule, with the scope following or all' }),
  })
  .meta({
    id: 'MeetingChange',
    example: { topic: 'Comité extraordinario', end: '2026-11-23T11:30:00-05:00' },
  })

export const scopeQuerySchema = z.strictObject({
  scope: z.enum(['one', 'following', 'all']).default('one').meta({
    description:
      'Of a meeting of a series: it alone, it and all that follow, or all of them that have not begun yet',
  }),
})

export type NewMeetingBody = z.output<typeof newMeetingSchema>
export type ChangeScope = z.output<typeof scopeQuerySchema>['scope']
export type MeetingChangeBody = z.output<typeof meetingChangeSchema>

// There are some hundred; looking one up takes longer than all else that is looked at in a body.
const knownTimeZones = new Map<string, string>()

// The case is put right; an older name of a zone stays as it was written.
function canonicalTimeZone(name: string): string | undefined {
  const known = knownTimeZones.get(name)
  if (known !== undefined) return known
  if (!/^[A-Za-z]/.test(name)) return undefined
  try {
    const { timeZone: resolved } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions()
    if (resolved.toLowerCase() !== name.toLowerCase()) return name
    knownTimeZones.set(resolved, resolved)
    return resolved
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
