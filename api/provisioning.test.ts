import { eq, sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { findForgotten } from '../db/forgotten.ts'
import { meetings } from '../db/schema.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { makeDue, newMeeting, openJobsOf, openTestApi, type TestApi, until } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  // Short, because a Google that is down is asked again and again until this limit.
  api = await openTestApi(google, 1)
})
afterEach(() => google.faults.clear())
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const eventsOf = (id: string) =>
  [...google.state.events.values()]
    .map(event => event.resource)
    .filter(event => event.extendedProperties?.private?.testigoMeetingId === id)
const shown = async (id: string) => (await api.call('GET', `/v1/meetings/${id}`)).body
const namesOf = async (id: string) => (await openJobsOf(api.db, id)).map(job => job.name)
const post = (changes = {}) => api.call('POST', '/v1/meetings', { body: newMeeting(changes) })

/** Makes the job due and waits until Google has the newest word. */
async function followed(id: string) {
  await makeDue(api.db, id)
  return until('telling Google by the job', async () => {
    const meeting = await shown(id)
    return meeting.google === 'up_to_date' && meeting
  })
}

describe('while Google is down', () => {
  test('a new meeting is answered with 503, kept, and made by its job as soon as Google is back', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const answer = await post({ externalId: 'down-1' })
    expect(answer.status).toBe(503)
    expect(answer.body.code).toBe('google_unavailable')
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    const { meetingId } = answer.body
    expect(answer.headers.get('location')).toBe(`/v1/meetings/${meetingId}`)
    expect(await shown(meetingId)).toMatchObject({ status: 'scheduled', google: 'pending', joinUrl: null })
    expect(await namesOf(meetingId)).toEqual(['provision-meeting'])
    google.faults.clear()
    const meeting = await followed(meetingId)
    expect(meeting.joinUrl).toMatch(/^https:\/\/meet\.google\.com\//)
    expect(eventsOf(meetingId)).toHaveLength(1)
    expect(await namesOf(meetingId)).toContain('record-meeting')
  })

  test('sending the request again goes on with the same meeting', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const body = newMeeting({ externalId: 'down-2', customFields: { a: [1, { b: null }] } })
    const first = await api.call('POST', '/v1/meetings', { body })
    google.faults.clear()
    const second = await api.call('POST', '/v1/meetings', { body })
    expect(second.status).toBe(201)
    expect(second.body.id).toBe(first.body.meetingId)
    expect(eventsOf(second.body.id)).toHaveLength(1)
    expect(await namesOf(second.body.id)).toEqual(['record-meeting'])
  })

  test('another request with the same external id is refused and names the meeting', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const first = await post({ externalId: 'down-3' })
    google.faults.clear()
    const other = await post({ externalId: 'down-3', topic: 'Otra cosa' })
    expect(other.status).toBe(409)
    expect(other.body).toMatchObject({ meetingId: first.body.meetingId, joinUrl: null })
  })

  test('a change is answered with 503, kept, and followed later', async () => {
    const { id } = (await post()).body
    google.faults.add({ kind: 'down', service: 'calendar' })
    const changes = { start: '2031-05-01T10:00:00Z', end: '2031-05-01T11:00:00Z', topic: 'Aplazado' }
    const answer = await api.call('PATCH', `/v1/meetings/${id}`, { body: changes })
    expect(answer.status).toBe(503)
    expect(answer.body.meetingId).toBe(id)
    expect(await shown(id)).toMatchObject({ topic: 'Aplazado', google: 'pending' })
    google.faults.clear()
    await followed(id)
    expect(eventsOf(id).map(event => event.summary)).toEqual(['Aplazado'])
    const [job] = (await openJobsOf(api.db, id)).filter(({ name }) => name === 'record-meeting')
    expect(job?.due).toEqual(new Date('2031-05-01T09:59:00Z'))
  })

  test('a cancellation is answered with 204 and reaches Google later', async () => {
    const { id } = (await post()).body
    google.faults.add({ kind: 'down', service: 'calendar' })
    expect((await api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
    expect(await shown(id)).toMatchObject({ status: 'cancelled', google: 'pending' })
    expect(await namesOf(id)).toEqual(['provision-meeting'])
    google.faults.clear()
    await followed(id)
    expect(eventsOf(id).map(event => event.status)).toEqual(['cancelled'])
  })

  test('a meeting that was never made can be cancelled', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const { meetingId } = (await post()).body
    await api.call('DELETE', `/v1/meetings/${meetingId}`)
    google.faults.clear()
    expect(await followed(meetingId)).toMatchObject({ status: 'cancelled', joinUrl: null })
    expect(eventsOf(meetingId)).toEqual([])
    expect(await namesOf(meetingId)).not.toContain('record-meeting')
  })

  test('a meeting whose end passes meanwhile is not made any more', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const { meetingId } = (await post()).body
    google.faults.clear()
    await api.db
      .update(meetings)
      .set({ startsAt: new Date('2020-01-01T10:00:00Z'), endsAt: new Date('2020-01-01T11:00:00Z') })
      .where(eq(meetings.id, meetingId))
    await followed(meetingId)
    expect(eventsOf(meetingId)).toEqual([])
  })
})

test('what Google refuses for good is answered with 502 and its reason, and the meeting is kept', async () => {
  google.faults.add({
    kind: 'error',
    service: 'calendar',
    method: 'events.insert',
    status: 403,
    reason: 'forbidden',
  })
  const answer = await post()
  expect(answer.status).toBe(502)
  expect(answer.body.code).toBe('google_refused')
  expect(answer.body.detail).toContain('403')
  expect(await shown(answer.body.meetingId)).toMatchObject({ google: 'pending' })
  expect((await followed(answer.body.meetingId)).joinUrl).toBeTruthy()
})

test('a refusal of the space is noted and fails nothing', async () => {
  google.faults.add({ kind: 'autoRecordingRefused' })
  const { space, joinUrl } = (await post()).body
  expect(space.autoRecording).toBe('refused')
  expect(joinUrl).toBeTruthy()
})

test('a lost answer to the insert leaves one event, and one invitation for each person', async () => {
  google.faults.add({ kind: 'cut', service: 'calendar', method: 'events.insert' })
  const lost = await post({ externalId: 'lost' })
  expect(lost.status).toBe(503)
  expect(eventsOf(lost.body.meetingId)).toHaveLength(1)
  const answer = await post({ externalId: 'lost' })
  expect(answer.status).toBe(201)
  const [event, ...more] = eventsOf(answer.body.id)
  expect(more).toEqual([])
  const invited = google.state.mails.filter(mail => mail.about === event?.id && mail.kind === 'invitation')
  expect(new Set(invited.map(mail => mail.to)).size).toBe(invited.length)
})

test('a meeting whose event somebody deleted in Google gets another one with its next change', async () => {
  const made = (await post()).body
  const [first] = eventsOf(made.id)
  if (first) first.status = 'cancelled'
  const answer = await api.call('PATCH', `/v1/meetings/${made.id}`, { body: { topic: 'De nuevo' } })
  expect(answer.status).toBe(200)
  expect(answer.body.joinUrl).not.toBe(made.joinUrl)
  expect(eventsOf(made.id).map(event => [event.summary, event.status])).toEqual([
    [made.topic, 'cancelled'],
    ['De nuevo', 'confirmed'],
  ])
  await api.call('DELETE', `/v1/meetings/${made.id}`)
  expect(eventsOf(made.id).map(event => event.status)).toEqual(['cancelled', 'cancelled'])
})

test('a change that arrives while Google is being told of the one before reaches Google too', async () => {
  const { id } = (await post()).body
  google.faults.add({ kind: 'hang', service: 'calendar', method: 'events.patch' })
  const path = `/v1/meetings/${id}`
  const answers = Promise.all([
    api.call('PATCH', path, { body: { topic: 'Uno' } }),
    until('the first change', () => google.state.requests.some(request => request.status === 'hang')).then(
      () => api.call('PATCH', path, { body: { topic: 'Dos' } }),
    ),
  ])
  await answers
  await followed(id)
  expect(eventsOf(id).map(event => event.summary)).toEqual(['Dos'])
})

test('a meeting that lost its job is found again', async () => {
  google.faults.add({ kind: 'down', service: 'calendar' })
  const { meetingId } = (await post()).body
  await api.db.execute(sql`delete from pgboss.job where singleton_key = ${meetingId}`)
  expect(await findForgotten(api.db, 'provision-meeting', new Date(Date.now() + 1000), 10)).toContain(
    meetingId,
  )
  expect(await findForgotten(api.db, 'provision-meeting', new Date(Date.now() - 60_000), 10)).not.toContain(
    meetingId,
  )
})
