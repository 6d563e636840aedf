import type { MeetingWish } from '../db/meetings.ts'
import type { NewMeetingBody } from './meetings.schema.ts'

/** What a body asks for, ready for the row. */
export function wishOfBody(body: NewMeetingBody): MeetingWish {
  return {
    topic: body.topic,
    description: body.description ?? null,
    startsAt: body.start,
    endsAt: body.end,
    timeZone: body.timeZone,
    externalId: body.externalId ?? null,
    relatedType: body.related?.type ?? null,
    relatedId: body.related?.id ?? null,
    // As the row will give it back, so that a repeat of the request can be told from another request.
    customFields: body.customFields ? JSON.parse(JSON.stringify(body.customFields)) : null,
    patience: body.patience ? given(body.patience) : {},
    redundancy: body.redundancy,
    reminders: body.reminders,
    participants: invitedOf(body.participants),
  }
}

export function invitedOf(people: NewMeetingBody['participants']): MeetingWish['participants'] {
  return people.map(({ email, name, role }) => ({ email, name: name ?? null, role }))
}

/** Without the fields that are undefined. */
export function given<Fields extends object>(fields: Fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>
  }
}
