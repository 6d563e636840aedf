import { isBotInvited, noteBotInvited, noteSpace } from '../../db/bot-invitation.ts'
import { readWholeSoon } from '../../db/followed-calendars.ts'
import type { MeetingRow } from '../../db/meetings.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { GoogleFault } from '../../google/fault.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

/**
 * Invites the bot to the event of a meeting that was found in a calendar, so that it comes in without knocking and
 * everybody sees that the call is recorded, and finds out the name of its room. Both are done once, and neither is needed
 * to record: where Google does not answer, everything is read again with the next poll, and this tried again.
 */
export async function bringBot(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  meeting: MeetingRow,
  signal: AbortSignal,
): Promise<void> {
  const { db, log } = deps
  const isAwaited =
    meeting.createdBy === null && meeting.status === 'scheduled' && event.status !== 'cancelled'
  if (!isAwaited || event.conference.status !== 'success' || (await isBotInvited(db, meeting.id))) return
  try {
    const { meetingCode } = event.conference
    const outcome = await invite(deps, calendar, event, signal)
    const spaceName = meeting.spaceName ?? (await deps.google.spaces.findSpace(calendar, meetingCode, signal))
    await db.transaction(async tx => {
      if (spaceName !== null) await noteSpace(tx, meeting.id, { meetingCode, spaceName })
      await noteBotInvited(tx, meeting, ACTOR, outcome)
    })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof GoogleFault)) throw error
    const { code, reason } = error
    log.warn(
      { calendar, meetingId: meeting.id, code, reason },
      'the bot could not be invited to an event yet',
    )
    await readWholeSoon(db, [calendar])
  }
}

/** To all instances of a recurring event at once. It may be refused to guests. */
async function invite(
  { google, settings, log }: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<'invited' | 'was_invited' | 'no_bot' | 'refused'> {
  const { botEmail } = settings
  if (botEmail === undefined) return 'no_bot'
  const hasBot = ({ attendees }: CalendarEvent) =>
    attendees.some(({ email }) => email.toLowerCase() === botEmail.toLowerCase())
  if (hasBot(event)) return 'was_invited'
  try {
    // One instance may have other guests than all the others.
    const { seriesId } = event
    const subject = calendar
    const whole = seriesId === null ? event : await google.events.readEvent({ subject }, seriesId, signal)
    if (hasBot(whole)) return 'was_invited'
    const participants = whole.attendees.map(({ email }) => ({ email }))
    await google.calendar.as(calendar).patchEvent(whole.eventId, { participants }, signal)
    return 'invited'
  } catch (error) {
    if (!(error instanceof GoogleFault) || error.retryable) throw error
    const { code, reason } = error
    log.warn({ calendar, code, reason }, 'the bot could not be invited to an event: it will have to knock')
    return 'refused'
  }
}
