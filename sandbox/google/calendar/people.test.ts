import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

const host = 'agenda@clinica.example'
const guest = 'archivo@clinica.example'
const [start, end] = ['2026-12-07T09:00:00-05:00', '2026-12-07T10:00:00-05:00']

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle({ calendarTimeZone: 'America/Bogota' })
  calendar = (await officialClients(google, host)).calendar
})
afterAll(() => google.stop())

const get = async (eventId: string) => (await calendar.events.get({ calendarId: 'primary', eventId })).data
const instances = async (eventId: string) =>
  (await calendar.events.instances({ calendarId: 'primary', eventId })).data.items ?? []
const create = async (more: Partial<Parameters<GoogleSandbox['personDoes']>[0]> = {}) =>
  (await google.personDoes({ do: 'create', as: host, title: 'Junta', start, end, ...more } as never)).eventId

describe('a person in the calendar', () => {
  test('makes events with and without a Meet link, and puts themselves on the list of guests', async () => {
    const event = await get(await create({ attendees: [guest] }))
    expect(event.hangoutLink).toMatch(/^https:\/\/meet\.google\.com\//)
    expect(event.attendees).toMatchObject([
      { email: host, responseStatus: 'accepted', organizer: true, self: true },
      { email: guest, responseStatus: 'needsAction' },
    ])
    const plain = await get(await create({ meet: false }))
    expect(plain.conferenceData).toBeUndefined()
    expect(plain.attendees).toBeUndefined()
  })

  test('makes events of whole days', async () => {
    const eventId = await create({ start: '2026-12-24', end: '2026-12-26', meet: false })
    expect(await get(eventId)).toMatchObject({ start: { date: '2026-12-24' }, end: { date: '2026-12-26' } })
  })

  test('answers an invitation, which changes the etag and not the sequence', async () => {
    const eventId = await create({ attendees: [guest, 'luis@fuera.example'] })
    const before = await get(eventId)
    await google.personDoes({ do: 'respond', as: guest, eventId, response: 'declined', comment: 'De viaje' })
    await google.personDoes({ do: 'respond', as: 'luis@fuera.example', eventId, response: 'accepted' })
    const after = await get(eventId)
    expect(after.attendees?.map(({ responseStatus, comment }) => [responseStatus, comment])).toEqual([
      ['accepted', undefined],
      ['declined', 'De viaje'],
      ['accepted', undefined],
    ])
    expect(after.etag).not.toBe(before.etag)
    expect(after.sequence).toBe(before.sequence)
    expect(Date.parse(after.updated ?? '')).toBeGreaterThanOrEqual(Date.parse(before.updated ?? ''))
  })

  test('moves, renames, invites and uninvites, and the guests keep their answers', async () => {
    const eventId = await create({ attendees: [guest] })
    await google.personDoes({ do: 'respond', as: guest, eventId, response: 'tentative' })
    const later = { start: '2026-12-08T09:00:00-05:00', end: '2026-12-08T10:00:00-05:00' }
    const invite = ['luis@fuera.example']
    await google.personDoes({ do: 'change', as: host, eventId, title: 'Aplazada', invite, ...later })
    const moved = await get(eventId)
    expect(moved).toMatchObject({ summary: 'Aplazada', sequence: 1, start: { dateTime: later.start } })
    expect(moved.attendees?.map(one => one.responseStatus)).toEqual(['accepted', 'tentative', 'needsAction'])
    expect(moved.hangoutLink).toBeDefined()
    await google.personDoes({ do: 'change', as: host, eventId, uninvite: [guest], meet: 'remove' })
    const without = await get(eventId)
    expect(without.attendees?.map(one => one.email)).toEqual([host, 'luis@fuera.example'])
    expect(without.hangoutLink).toBeUndefined()
  })

  test('cancels an event, and a guest who cancels only declines', async () => {
    const eventId = await create({ attendees: [guest] })
    await google.personDoes({ do: 'cancel', as: guest, eventId })
    expect(await get(eventId)).toMatchObject({
      status: 'confirmed',
      attendees: [{}, { responseStatus: 'declined' }],
    })
    await google.personDoes({ do: 'cancel', as: host, eventId })
    expect((await get(eventId)).status).toBe('cancelled')
  })

  test('who is invited may invite others, unless the organizer does not want it', async () => {
    const eventId = await create({ attendees: [guest] })
    const invite = ['luis@fuera.example']
    await google.personDoes({ do: 'change', as: guest, eventId, invite })
    const addresses = async () => (await get(eventId)).attendees?.map(one => one.email)
    expect(await addresses()).toEqual([host, guest, 'luis@fuera.example'])
    const requestBody = { guestsCanInviteOthers: false }
    await calendar.events.patch({ calendarId: 'primary', eventId, requestBody })
    await google.personDoes({ do: 'change', as: guest, eventId, invite: ['eva@fuera.example'] })
    expect(await addresses()).toEqual([host, guest, 'luis@fuera.example'])
  })

  test('who was taken off the list finds the event cancelled', async () => {
    const eventId = await create({ attendees: [guest] })
    await google.personDoes({ do: 'change', as: host, eventId, uninvite: [guest] })
    const theirs = (await officialClients(google, guest)).calendar
    const { data } = await theirs.events.get({ calendarId: 'primary', eventId })
    expect(data).toMatchObject({ id: eventId, status: 'cancelled' })
    expect(data).not.toHaveProperty('summary')
    await google.personDoes({ do: 'change', as: host, eventId, invite: [guest] })
    const again = await theirs.events.get({ calendarId: 'primary', eventId })
    expect(again.data.summary).toBe('Junta')
  })

  test('may not touch what belongs to somebody else', async () => {
    const eventId = await create({ attendees: [guest] })
    const stolen = google.personDoes({ do: 'change', as: guest, eventId, title: 'Mía' })
    await expect(stolen).rejects.toThrow('can only be changed by the organizer')
    const stranger = google.personDoes({ do: 'cancel', as: 'testigo@clinica.example', eventId })
    await expect(stranger).rejects.toThrow('Not Found')
  })

  test('can be played over HTTP too, and is told what was wrong', async () => {
    const ask = (body: object) =>
      fetch(`${google.url}/_sandbox/calendar`, { method: 'POST', body: JSON.stringify(body) })
    const made = await ask({ do: 'create', as: host, start, end })
    expect(made.status).toBe(201)
    const { eventId } = (await made.json()) as { eventId: string }
    expect((await get(eventId)).start?.dateTime).toBe(start)
    expect((await ask({ do: 'dance', as: host })).status).toBe(400)
    expect((await ask({ do: 'cancel', as: host, eventId: 'nada' })).status).toBe(404)
  })
})

describe('a person changes a series', () => {
  const series = () => create({ recurrence: ['RRULE:FREQ=WEEKLY;COUNT=4'], attendees: [guest] })
  const days = async (eventId: string) =>
    (await instances(eventId)).map(event => event.start?.dateTime?.slice(5, 16))

  test('in one event only', async () => {
    const eventId = await series()
    const second = `${eventId}_20261214T140000Z`
    const moved = { start: '2026-12-15T11:00:00-05:00', end: '2026-12-15T12:00:00-05:00' }
    await google.personDoes({ do: 'change', as: host, eventId: second, ...moved })
    await google.personDoes({ do: 'cancel', as: host, eventId: `${eventId}_20261221T140000Z` })
    await google.personDoes({ do: 'respond', as: guest, eventId: second, response: 'accepted' })
    expect(await days(eventId)).toEqual(['12-07T09:00', '12-15T11:00', '12-28T09:00'])
    expect((await get(second)).attendees?.[1]?.responseStatus).toBe('accepted')
    expect((await get(eventId)).attendees?.[1]?.responseStatus).toBe('needsAction')
  })

  test('in all of it, by as much as the one event was moved', async () => {
    const eventId = await series()
    const instance = `${eventId}_20261214T140000Z`
    const moved = { start: '2026-12-15T11:00:00-05:00', end: '2026-12-15T12:00:00-05:00' }
    await google.personDoes({ do: 'change', as: host, eventId: instance, scope: 'all', ...moved })
    expect(await days(eventId)).toEqual(['12-08T11:00', '12-15T11:00', '12-22T11:00', '12-29T11:00'])
  })

  test('from one event on: the series ends and a second one with the same guests and link goes on', async () => {
    const eventId = await series()
    const link = (await get(eventId)).hangoutLink
    await google.personDoes({
      do: 'change',
      as: host,
      eventId: `${eventId}_20261228T140000Z`,
      title: 'Especial',
    })
    const moved = { start: '2026-12-21T15:00:00-05:00', end: '2026-12-21T16:00:00-05:00' }
    const instance = `${eventId}_20261221T140000Z`
    const asked = { do: 'change', as: host, eventId: instance, scope: 'following', ...moved } as const
    const { eventId: second } = await google.personDoes(asked)
    expect(second).toBe(`${eventId}_R20261221T140000`)
    expect(await days(eventId)).toEqual(['12-07T09:00', '12-14T09:00'])
    expect((await get(eventId)).recurrence).toEqual(['RRULE:FREQ=WEEKLY;UNTIL=20261221T045959Z'])
    expect(await days(second)).toEqual(['12-21T15:00', '12-28T15:00'])
    expect((await instances(second)).map(event => [event.id, event.recurringEventId])).toEqual([
      [`${eventId}_20261221T200000Z`, second],
      [`${eventId}_20261228T200000Z`, second],
    ])
    expect(await get(second)).toMatchObject({ hangoutLink: link, iCalUID: `${second}@google.com` })
    // What was an exception of a time that is no more is cancelled.
    expect(google.state.events.get(`${host}/${eventId}_20261228T140000Z`)?.resource.status).toBe('cancelled')
  })

  test('from one event on without moving it: exceptions go over to the second series', async () => {
    const eventId = await series()
    const special = `${eventId}_20261228T140000Z`
    await google.personDoes({ do: 'change', as: host, eventId: special, title: 'Especial' })
    const instance = `${eventId}_20261221T140000Z`
    const asked = { do: 'change', as: host, eventId: instance, scope: 'following', title: 'Nueva' } as const
    const { eventId: second } = await google.personDoes(asked)
    expect((await instances(second)).map(event => event.summary)).toEqual(['Nueva', 'Especial'])
    expect(await get(special)).toMatchObject({ recurringEventId: second, status: 'confirmed' })
  })

  test('by answering for all of it, the events that were changed too', async () => {
    const eventId = await series()
    const special = `${eventId}_20261228T140000Z`
    await google.personDoes({ do: 'change', as: host, eventId: special, title: 'Especial' })
    const asked = { do: 'respond', as: guest, response: 'accepted', scope: 'all' } as const
    await google.personDoes({ ...asked, eventId: `${eventId}_20261214T140000Z` })
    const answers = (await instances(eventId)).map(event => event.attendees?.[1]?.responseStatus)
    expect(answers).toEqual(['accepted', 'accepted', 'accepted', 'accepted'])
  })

  test('by ending it from one event on', async () => {
    const eventId = await series()
    const instance = `${eventId}_20261221T140000Z`
    await google.personDoes({ do: 'cancel', as: host, eventId: instance, scope: 'following' })
    expect(await days(eventId)).toEqual(['12-07T09:00', '12-14T09:00'])
  })

  test('by cancelling all of it, with its exceptions', async () => {
    const eventId = await series()
    const instance = `${eventId}_20261221T140000Z`
    await google.personDoes({ do: 'change', as: host, eventId: instance, title: 'Especial' })
    await google.personDoes({ do: 'cancel', as: host, eventId: instance, scope: 'all' })
    expect((await get(eventId)).status).toBe('cancelled')
    expect((await get(instance)).status).toBe('cancelled')
  })
})
