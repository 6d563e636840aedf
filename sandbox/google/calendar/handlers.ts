import type { Answer, Call, Handlers } from '../world.ts'
import { stopChannel, watchEvents } from './channels.ts'
import { calendarOf } from './event.ts'
import { listEvents, listInstances } from './event-listing.ts'
import { deleteEvent, getEvent, insertEvent, patchEvent, updateEvent } from './event-writing.ts'

/** The methods of Calendar v3 that the sandbox plays. */
export const calendarHandlers: Handlers = {
  'calendar.calendars.get': getCalendar,
  'calendar.events.insert': insertEvent,
  'calendar.events.get': getEvent,
  'calendar.events.patch': patchEvent,
  'calendar.events.update': updateEvent,
  'calendar.events.delete': deleteEvent,
  'calendar.events.list': listEvents,
  'calendar.events.instances': listInstances,
  'calendar.events.watch': watchEvents,
  'calendar.channels.stop': stopChannel,
}

function getCalendar(call: Call): Answer {
  const id = calendarOf(call)
  const types = call.caller.isServiceAccount ? [] : ['hangoutsMeet']
  return {
    json: {
      kind: 'calendar#calendar',
      etag: '"sandbox"',
      id,
      summary: id,
      timeZone: call.world.calendarTimeZone,
      conferenceProperties: { allowedConferenceSolutionTypes: types },
    },
  }
}
