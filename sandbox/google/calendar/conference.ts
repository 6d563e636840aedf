import { randomInt, randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import type { Caller } from '../identity.ts'
import { createSpace } from '../meet/space.ts'
import type { World } from '../world.ts'
import { type CalendarEvent, type ConferenceData, touch } from './event.ts'

/**
 * Carries out what a write with `conferenceDataVersion=1` says about the conference of an event: nothing, remove
 * (`null`), make one (asynchronously: `pending` first), or attach an existing one (google-apis.md §1.2).
 */
export async function writeConference(
  world: World,
  caller: Caller,
  event: CalendarEvent,
  wanted: ConferenceData | null | undefined,
): Promise<void> {
  const current = event.resource.conferenceData
  if (wanted === undefined) return
  if (wanted === null) {
    delete event.resource.conferenceData
    delete event.resource.hangoutLink
    return
  }
  const { createRequest } = wanted
  if (createRequest) {
    // Google ignores a request id that it has seen on this event.
    if (current?.createRequest && current.createRequest.requestId === createRequest.requestId) return
    await requestConference(world, caller, event, createRequest)
  } else if (wanted.conferenceSolution && wanted.entryPoints && wanted.entryPoints.length > 0) {
    event.resource.conferenceData = structuredClone(wanted)
    const video = wanted.entryPoints.find(point => point.entryPointType === 'video')
    if (video?.uri !== undefined) event.resource.hangoutLink = video.uri
  } else {
    throw new GoogleError(
      400,
      'Invalid conference data: either conferenceSolution and at least one entryPoint, or createRequest is required.',
      { reason: 'invalid' },
    )
  }
}

async function requestConference(
  world: World,
  caller: Caller,
  event: CalendarEvent,
  request: NonNullable<ConferenceData['createRequest']>,
): Promise<void> {
  if (!request.requestId)
    throw new GoogleError(400, 'Missing conference create request id.', { reason: 'required' })
  const type = request.conferenceSolutionKey?.type ?? 'hangoutsMeet'
  // A service account's own calendar has no Meet (google-apis.md §1.2, field report 2).
  if (type !== 'hangoutsMeet' || caller.isServiceAccount)
    throw new GoogleError(400, 'Invalid conference type value.', { reason: 'invalid' })
  const { requestId } = request
  event.resource.conferenceData = {
    createRequest: { requestId, conferenceSolutionKey: { type }, status: { statusCode: 'pending' } },
  }
  delete event.resource.hangoutLink
  const key = `${event.organizer}/${event.resource.id}`
  if (world.conferencePendingMs === 0) await finishConference(world, () => event, requestId)
  else
    world.timers.later(world.conferencePendingMs, () =>
      // The event may have been rewritten while the conference was pending.
      finishConference(world, () => world.state.events.get(key) ?? event, requestId),
    )
}

async function finishConference(world: World, find: () => CalendarEvent, requestId: string): Promise<void> {
  const event = find()
  const { resource } = event
  const createRequest = resource.conferenceData?.createRequest
  const superseded = createRequest?.requestId !== requestId || resource.status === 'cancelled'
  if (!createRequest || superseded) return
  if (world.faults.take(['conferenceFailure'], 'calendar', 'calendar.events.insert')) {
    createRequest.status = { statusCode: 'failure' }
    touch(world, event)
    return
  }
  const space = createSpace(world, event.organizer, 'calendar')
  await world.onConference({
    code: space.meetingCode,
    eventId: resource.id,
    summary: resource.summary ?? '',
    start: resource.start.dateTime ?? resource.start.date ?? '',
    end: resource.end.dateTime ?? resource.end.date ?? '',
    attendees: (resource.attendees ?? []).map(attendee => attendee.email),
    organizer: event.organizer,
  })
  const ready = find()
  ready.resource.conferenceData = {
    createRequest: { ...createRequest, status: { statusCode: 'success' } },
    entryPoints: [
      { entryPointType: 'video', uri: space.meetingUri, label: space.meetingUri.replace('https://', '') },
      {
        entryPointType: 'phone',
        uri: 'tel:+52-55-0000-0000',
        label: '+52 55 0000 0000',
        regionCode: 'MX',
        pin: String(randomInt(1e8, 1e9)),
      },
    ],
    conferenceSolution: {
      key: { type: 'hangoutsMeet' },
      name: 'Google Meet',
      iconUri:
        'https://fonts.gstatic.com/s/i/productlogos/meet_2020q4/v6/web-512dp/logo_meet_2020q4_color_2x_web_512dp.png',
    },
    conferenceId: space.meetingCode,
    signature: randomUUID().replaceAll('-', ''),
  }
  ready.resource.hangoutLink = space.meetingUri
  touch(world, ready)
}
