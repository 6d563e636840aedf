import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { MeetingToPut } from './calendar.ts'
import { isFault } from './fault.ts'
import { openTestGoogle } from './test-google.ts'

const HOST = 'agenda@clinica.example'
const GUEST = 'archivo@clinica.example'
const of = { subject: HOST }
const december = { from: new Date('2026-12-01T00:00:00Z'), to: new Date('2027-01-01T00:00:00Z') }

function weekly(changes: Partial<MeetingToPut> = {}): MeetingToPut {
  return {
    meetingId: randomUUID(),
    topic: 'Comité',
    description: 'Cada lunes',
    start: new Date('2026-12-07T14:00:00Z'),
    end: new Date('2026-12-07T15:00:00Z'),
    timeZone: 'America/Bogota',
    participants: [{ email: GUEST }],
    recurrence: ['RRULE:FREQ=WEEKLY;COUNT=4'],
    ...changes,
  }
}

test('a series is one event whose instances share its link and carry our meeting’s id', async () => {
  const at = await openTestGoogle()
  const wanted = weekly()
  const { eventId, meetingCode } = await at.google.calendar.putEvent(wanted)
  expect(await at.google.calendar.putEvent(wanted)).toMatchObject({ eventId, meetingCode })
  const instances = await at.google.events.listInstances(of, eventId, december)
  expect(instances.map(one => one.start?.toISOString())).toEqual([
    '2026-12-07T14:00:00.000Z',
    '2026-12-14T14:00:00.000Z',
    '2026-12-21T14:00:00.000Z',
    '2026-12-28T14:00:00.000Z',
  ])
  for (const one of instances)
    expect(one).toMatchObject({
      seriesId: eventId,
      originalStart: one.start,
      meetingId: wanted.meetingId,
      description: 'Cada lunes',
      isOrganizer: true,
      conference: { status: 'success', meetingCode },
    })
  const series = await at.google.events.readEvent(of, eventId)
  expect(series).toMatchObject({ seriesId: null, recurrence: wanted.recurrence, timeZone: 'America/Bogota' })
})

test('the clock on the wall of the series’ zone stays over a change of the clocks', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(
    weekly({
      start: new Date('2027-03-22T08:00:00Z'),
      end: new Date('2027-03-22T09:00:00Z'),
      timeZone: 'Europe/Madrid',
      recurrence: ['RRULE:FREQ=WEEKLY;COUNT=2'],
    }),
  )
  const spring = { from: new Date('2027-03-01T00:00:00Z'), to: new Date('2027-05-01T00:00:00Z') }
  const instances = await at.google.events.listInstances(of, eventId, spring)
  expect(instances.map(one => one.start?.toISOString())).toEqual([
    '2027-03-22T08:00:00.000Z',
    '2027-03-29T07:00:00.000Z',
  ])
})

test('a series without a time zone is a mistake of the caller, told before Google is asked', async () => {
  const at = await openTestGoogle()
  await expect(at.google.calendar.putEvent(weekly({ timeZone: undefined }))).rejects.toThrow('time zone')
  expect(at.asked('events.insert')).toBe(0)
})

test('one instance is moved, found by its original start, and cancelled, without touching the others', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(weekly())
  const second = new Date('2026-12-14T14:00:00Z')
  const instance = await at.google.events.findInstance(of, eventId, second)
  const start = new Date('2026-12-15T16:00:00Z')
  await at.google.calendar.patchEvent(instance?.eventId ?? '', {
    start,
    end: new Date('2026-12-15T17:00:00Z'),
  })
  const moved = await at.google.events.findInstance(of, eventId, second)
  expect(moved).toMatchObject({ eventId: instance?.eventId, start, originalStart: second })
  await at.google.calendar.cancelEvent(instance?.eventId ?? '')
  expect(await at.google.events.findInstance(of, eventId, second)).toMatchObject({ status: 'cancelled' })
  expect(await at.google.events.listInstances(of, eventId, december)).toHaveLength(3)
  const all = await at.google.events.listInstances(of, eventId, { ...december, withCancelled: true })
  expect(all.map(one => one.status)).toEqual(['confirmed', 'cancelled', 'confirmed', 'confirmed'])
  expect(await at.google.events.findInstance(of, eventId, new Date('2026-12-15T14:00:00Z'))).toBeNull()
})

test('an instance is changed with a single write, as reading it leaves its etag alone', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(weekly())
  const instance = await at.google.events.findInstance(of, eventId, new Date('2026-12-14T14:00:00Z'))
  await at.google.calendar.patchEvent(instance?.eventId ?? '', { topic: 'Extraordinario' })
  expect(at.asked('events.patch')).toBe(1)
})

test('this and following: the series ends earlier, and another one takes over', async () => {
  const at = await openTestGoogle()
  const first = weekly()
  const { eventId } = await at.google.calendar.putEvent(first)
  await at.google.calendar.patchEvent(eventId, { recurrence: ['RRULE:FREQ=WEEKLY;UNTIL=20261220T235959Z'] })
  const second = await at.google.calendar.putEvent(
    weekly({
      meetingId: first.meetingId,
      revision: 1,
      start: new Date('2026-12-22T14:00:00Z'),
      end: new Date('2026-12-22T15:00:00Z'),
      recurrence: ['RRULE:FREQ=WEEKLY;COUNT=2'],
    }),
  )
  expect(await at.google.events.listInstances(of, eventId, december)).toHaveLength(2)
  expect(await at.google.events.listInstances(of, second.eventId, december)).toHaveLength(2)
  await at.google.calendar.patchEvent(eventId, { recurrence: ['RRULE:UNTIL=20261220T235959Z;FREQ=WEEKLY'] })
  expect(at.asked('events.patch')).toBe(1)
})

test('who answered what is read, with the words of an answer', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(weekly({ recurrence: undefined }))
  const answer = { do: 'respond', as: GUEST, eventId, response: 'declined', comment: 'De viaje' } as const
  await at.sandbox.personDoes(answer)
  const { attendees, attendeesComplete, sequence } = await at.google.events.readEvent(of, eventId)
  expect(attendeesComplete).toBe(true)
  expect(attendees.map(({ email, response, comment }) => [email, response, comment])).toEqual([
    [GUEST, 'declined', 'De viaje'],
    ['testigo@clinica.example', 'needs_action', null],
  ])
  expect(sequence).toBe(0)
})

test('events of other people are read as they made them: no link, whole days, not ours', async () => {
  const at = await openTestGoogle({ calendarTimeZone: 'America/Bogota' })
  const made = {
    do: 'create',
    as: GUEST,
    title: 'Vacaciones',
    start: '2026-12-24',
    end: '2026-12-26',
  } as const
  const { eventId } = await at.sandbox.personDoes({ ...made, meet: false, attendees: [HOST] })
  expect(await at.google.events.readEvent(of, eventId)).toMatchObject({
    topic: 'Vacaciones',
    start: null,
    end: null,
    days: { start: '2026-12-24', end: '2026-12-26' },
    conference: { status: 'absent' },
    meetingId: null,
    organizerEmail: GUEST,
    isOrganizer: false,
  })
})

test('meetings can be made in the calendar of another organizer', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.as(GUEST).putEvent(weekly({ participants: [] }))
  expect(at.sandbox.state.events.has(`${GUEST}/${eventId}`)).toBe(true)
  const elsewhere = await at.google.events.readEvent(of, eventId).catch((error: unknown) => error)
  expect(isFault(elsewhere, 'not_found')).toBe(true)
  await at.google.calendar.as(GUEST).cancelEvent(eventId)
  expect((await at.google.events.readEvent({ subject: GUEST }, eventId)).status).toBe('cancelled')
})

test('the notice of recording is left out of the description, also after the pages made HTML of it', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(weekly({ recurrence: undefined }))
  const written = at.sandbox.state.events.get(`${HOST}/${eventId}`)?.resource
  const html = String(written?.description).replaceAll('\n', '<br>')
  await at.sandbox.personDoes({ do: 'change', as: HOST, eventId, description: html })
  expect((await at.google.events.readEvent(of, eventId)).description).toBe('Cada lunes')
})
