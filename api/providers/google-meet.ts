import { writeRecurrence } from '../../calendar/recurrence.ts'
import { calendarReminders } from '../../calendar/reminders.ts'
import type { Config } from '../../config.ts'
import type { Calendar, MeetingToPut } from '../../google/calendar.ts'
import type { CalendarEvents } from '../../google/calendar-events.ts'
import { eventIdFor } from '../../google/event-body.ts'
import { GoogleFault, isFault } from '../../google/fault.ts'
import type { Spaces } from '../../google/meet-spaces.ts'
import { type CallWish, type MeetingProvider, type ProvidedCall, ProviderFault } from './meeting-provider.ts'

interface GoogleMeetDeps {
  google: {
    calendar: Pick<Calendar, 'as'>
    events: Pick<CalendarEvents, 'findInstance'>
    spaces: Spaces
  }
  settings: {
    accessType: Config['google']['accessType']
    autoRecording: boolean
    secondBotEmail?: string | undefined
  }
}

type EventFacts = Pick<ProvidedCall, 'eventId' | 'joinUrl' | 'meetingCode' | 'there'>

const NAME = 'google_meet'
// Each deleted event of a meeting makes one more; somebody who deletes faster than this is at war with us.
const MOST_NEW_EVENTS = 3

/** Google Meet: an event in the host's calendar with a Meet link, whose space belongs to the host. */
export function createGoogleMeet({ google, settings }: GoogleMeetDeps): MeetingProvider {
  const calendarOf = (host: string) => google.calendar.as(host)

  const detailsOf = (wish: CallWish): MeetingToPut => ({
    meetingId: wish.id,
    topic: wish.topic,
    // Empty, not absent: a patch leaves alone what it is not given.
    description: wish.description ?? '',
    start: wish.start,
    end: wish.end,
    timeZone: wish.timeZone,
    reminders: calendarReminders(wish.reminders),
    participants: [
      ...wish.people.map(({ email, name }) => ({ email, name: name ?? undefined })),
      ...(wish.bots > 1 && settings.secondBotEmail ? [{ email: settings.secondBotEmail }] : []),
    ],
    ...(wish.recurrence && { recurrence: writeRecurrence(wish.recurrence) }),
  })

  const putEvent = async (
    wish: CallWish,
    place: Parameters<MeetingProvider['put']>[1],
    keep: (eventId: string) => Promise<void>,
    signal: AbortSignal,
  ): Promise<EventFacts> => {
    const calendar = calendarOf(wish.host)
    const details = detailsOf(wish)
    const { eventId, joinUrl, meetingCode } = place
    let known = joinUrl !== null && meetingCode !== null ? { eventId, joinUrl, meetingCode } : undefined
    let eventNumber = eventNumberOf(eventId)
    for (let newEvents = 0; ; newEvents++) {
      try {
        if (known) {
          const there = await calendar.patchEvent(known.eventId, details, signal, place.look)
          return { ...known, there }
        }
        const { event, ...put } = await calendar.putEvent({ ...details, revision: eventNumber }, signal)
        // An insert that was cut off earlier may have left an event of an older revision.
        const there = place.changed ? await calendar.patchEvent(put.eventId, details, signal) : event
        return { ...put, there }
      } catch (error) {
        // Somebody deleted the event in Google; a deleted event keeps its id, so another one is made.
        const deleted = isFault(error, 'gone') || (known !== undefined && isFault(error, 'not_found'))
        if (!deleted || newEvents >= MOST_NEW_EVENTS) throw error
        eventNumber++
        known = undefined
        await keep(eventIdFor(wish.id, eventNumber))
      }
    }
  }

  return {
    name: NAME,
    eventIdOf: id => eventIdFor(id),

    put: (wish, place, keep, signal) =>
      translated(async () => {
        const event = await putEvent(wish, place, keep, signal)
        const { spaceName, ...space } = await google.spaces.configureSpace(
          {
            meetingCode: event.meetingCode,
            organizer: wish.host,
            accessType: settings.accessType,
            autoRecording: settings.autoRecording,
          },
          signal,
        )
        return { ...event, spaceName, space }
      }),

    cancel: ({ host, eventId }, signal) => translated(() => calendarOf(host).cancelEvent(eventId, signal)),

    putOccurrence: ({ series, originalStart, eventId: expected, look }, wish, signal) =>
      translated(async () => {
        const subject = series.host
        const found = await google.events.findInstance({ subject }, series.eventId, originalStart, signal)
        const eventId = found?.eventId ?? expected
        return {
          eventId,
          there: await calendarOf(subject).patchEvent(eventId, detailsOf(wish), signal, look),
        }
      }),

    cancelOccurrence: ({ series, originalStart }, signal) =>
      translated(async () => {
        const subject = series.host
        const found = await google.events.findInstance({ subject }, series.eventId, originalStart, signal)
        if (found && found.status !== 'cancelled')
          await calendarOf(subject).cancelEvent(found.eventId, signal)
      }),
  }
}

// The reverse of eventIdFor: `r<number>` stands at the end of every event but the first.
function eventNumberOf(eventId: string): number {
  return Number(/r(\d+)$/.exec(eventId)?.[1] ?? 0)
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GoogleFault) throw new ProviderFault(NAME, error, { cause: error })
    throw error
  }
}
