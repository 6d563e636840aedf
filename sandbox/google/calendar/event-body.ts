import { GoogleError } from '../errors.ts'
import type { Caller } from '../identity.ts'
import type { Attendee } from './event.ts'

/** What only Calendar writes; Google takes these in a body and ignores them. */
const readOnly = [
  'kind',
  'etag',
  'htmlLink',
  'created',
  'updated',
  'creator',
  'organizer',
  'hangoutLink',
  'sequence',
  'recurringEventId',
  'originalStartTime',
  'attendeesOmitted',
  'endTimeUnspecified',
  'privateCopy',
  'locked',
  'eventType',
  'conferenceData',
]

/**
 * The fields of a written event that Calendar keeps. Read-only fields and `conferenceData` (written apart) are left
 * out, attachments too unless supported; limits are those of google-apis.md §1.2 and §1.4. `null` values stay, as
 * they mean "delete" in a PATCH.
 */
export function writableFields(
  body: Record<string, unknown>,
  caller: Caller,
  supportsAttachments: boolean,
): Record<string, unknown> {
  const fields = structuredClone(body)
  for (const name of readOnly) delete fields[name]
  if (!supportsAttachments) delete fields.attachments
  if (Array.isArray(fields.attachments)) fields.attachments = attachments(fields.attachments)
  if (Array.isArray(fields.attendees)) fields.attendees = attendees(fields.attendees, caller)
  const reminders = fields.reminders as { overrides?: unknown[] } | null | undefined
  if (reminders?.overrides && reminders.overrides.length > 5)
    throw new GoogleError(400, 'Too many reminder overrides.', { reason: 'invalid' })
  if (fields.extendedProperties) trimProperties(fields.extendedProperties as Record<string, unknown>)
  return fields
}

function attendees(given: Partial<Attendee>[], caller: Caller): Attendee[] {
  if (caller.isServiceAccount && given.length > 0)
    throw new GoogleError(
      403,
      'Service accounts cannot invite attendees without Domain-Wide Delegation of Authority.',
      { reason: 'forbiddenForServiceAccounts', domain: 'calendar' },
    )
  return given.map(attendee => {
    const { email, self: _self, organizer: _organizer, ...rest } = attendee
    if (email === undefined) throw new GoogleError(400, 'Missing attendee email.', { reason: 'required' })
    if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email))
      throw new GoogleError(400, 'Invalid attendee email.', { reason: 'invalid' })
    return { email, ...rest, responseStatus: rest.responseStatus ?? 'needsAction' }
  })
}

function attachments(given: { fileUrl?: string }[]): object[] {
  if (given.length > 25) throw new GoogleError(400, 'Too many attachments.', { reason: 'invalid' })
  return given.map(attachment => {
    if (!attachment.fileUrl)
      throw new GoogleError(400, 'Missing attachment file URL.', { reason: 'required' })
    const fileId = /\/d\/([\w-]+)/.exec(attachment.fileUrl)?.[1]
    return { ...attachment, ...(fileId && { fileId }) }
  })
}

/** Keys over 44 characters are dropped and values cut at 1024, both silently, as Google does. */
function trimProperties(properties: Record<string, unknown>): void {
  for (const group of ['private', 'shared']) {
    const values = properties[group] as Record<string, string | null> | null | undefined
    for (const [key, value] of Object.entries(values ?? {})) {
      if (key.length > 44) delete values?.[key]
      else if (values && typeof value === 'string') values[key] = value.slice(0, 1024)
    }
  }
}

/** PATCH semantics: objects merge, arrays are replaced whole, `null` deletes. */
export function mergePatch<T extends Record<string, unknown>>(target: T, patch: Record<string, unknown>): T {
  const result: Record<string, unknown> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else if (isPlainObject(value))
      result[key] = mergePatch(isPlainObject(result[key]) ? result[key] : {}, value)
    else result[key] = value
  }
  return result as T
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
