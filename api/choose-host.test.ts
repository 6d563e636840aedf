import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setHosts } from '../db/organizations.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, signInUser, type TestApi } from './test-api.ts'

const USUAL = 'agenda@clinica.example'
const HOST = 'comite@clinica.example'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle({ users: [USUAL, 'testigo@clinica.example', HOST, 'ana@clinica.example'] })
  api = await openTestApi(google, 3)
  expect(await setHosts(api.db, 'Clínica Andina', [HOST, 'ana@clinica.example'])).toBe('set')
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const post = (changes: Record<string, unknown>, key = api.key) =>
  api.call('POST', '/v1/meetings', { key, body: newMeeting(changes) })
const eventsOf = (host: string) =>
  [...google.state.events.values()].filter(({ organizer }) => organizer === host)

describe('the host of a meeting', () => {
  test('holds the event in their calendar and owns the call; changes and the cancellation go there too', async () => {
    const made = await post({ organizer: 'Comite@Clinica.example' })
    expect(made.status, JSON.stringify(made.body)).toBe(201)
    expect(made.body).toMatchObject({
      organizer: HOST,
      google: 'up_to_date',
      provider: 'google_meet',
      space: { accessType: 'TRUSTED', refusals: [] },
    })
    const { id } = made.body
    const event = () =>
      eventsOf(HOST).find(({ resource }) => resource.extendedProperties?.private?.testigoMeetingId === id)
        ?.resource
    expect(event()?.status).toBe('confirmed')
    await api.call('PATCH', `/v1/meetings/${id}`, { body: { topic: 'Otro' } })
    expect(event()?.summary).toBe('Otro')
    expect((await api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
    expect(event()?.status).toBe('cancelled')
  })

  test('is chosen for a series as well, one meeting of which is changed and one cancelled', async () => {
    const start = Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 7_200_000
    const made = await post({
      organizer: HOST,
      start: new Date(start).toISOString(),
      end: new Date(start + 3_600_000).toISOString(),
      recurrence: ['RRULE:FREQ=DAILY;COUNT=3'],
    })
    expect(made.status, JSON.stringify(made.body)).toBe(201)
    const { id } = made.body.series
    const { items } = (await api.call('GET', `/v1/meetings?series=${id}&host=${HOST}`)).body
    expect(items).toHaveLength(3)
    const changed = await api.call('PATCH', `/v1/meetings/${items[1].id}`, { body: { topic: 'Otro' } })
    expect(changed.body).toMatchObject({ topic: 'Otro', google: 'up_to_date', organizer: HOST })
    expect((await api.call('DELETE', `/v1/meetings/${items[2].id}`)).status).toBe(204)
    const told = eventsOf(HOST).filter(({ resource }) => resource.recurringEventId !== undefined)
    expect(told.map(({ resource }) => [resource.summary, resource.status])).toEqual(
      expect.arrayContaining([
        ['Otro', 'confirmed'],
        ['Comité clínico', 'cancelled'],
      ]),
    )
    expect((await api.call('GET', `/v1/meetings?series=${id}&host=${USUAL}`)).body.items).toEqual([])
  })

  test('is the usual one where none is named', async () => {
    expect((await post({})).body.organizer).toBe(USUAL)
    expect((await post({ organizer: USUAL })).body.organizer).toBe(USUAL)
  })

  test('is refused outside the list, which the refusal and the organisation tell; of a series too', async () => {
    for (const more of [{}, { recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] }]) {
      const refused = await post({ organizer: 'otra@clinica.example', ...more })
      expect([refused.status, refused.body.code]).toEqual([422, 'host_not_allowed'])
      expect(refused.body.errors[0]).toMatchObject({ path: 'organizer' })
      expect(refused.body.detail).toContain(`${USUAL}, ${HOST}`)
    }
    expect((await api.call('GET', '/v1/organization')).body.hosts).toEqual([
      USUAL,
      HOST,
      'ana@clinica.example',
    ])
  })

  test('of another organisation is not theirs', async () => {
    const other = await api.keyOf('Hospital del Valle')
    expect((await post({ organizer: HOST }, other)).body.code).toBe('host_not_allowed')
  })

  test('is nobody but themselves for who has to do with own meetings only', async () => {
    const { accessToken } = await signInUser(api.url, api.key, {
      role: 'external',
      email: 'ana@clinica.example',
    })
    expect((await post({ organizer: HOST }, accessToken)).body.code).toBe('host_not_allowed')
    expect((await post({ organizer: 'ana@clinica.example' }, accessToken)).status).toBe(201)
  })

  test('is part of the request that is repeated after a lost answer', async () => {
    using _ = { [Symbol.dispose]: () => google.faults.clear() }
    google.faults.add({ kind: 'down', service: 'calendar' })
    const first = await post({ organizer: HOST, externalId: 'host-1' })
    expect(first.status).toBe(503)
    expect((await post({ externalId: 'host-1' })).body.code).toBe('external_id_taken')
    google.faults.clear()
    expect((await post({ organizer: HOST, externalId: 'host-1' })).body.organizer).toBe(HOST)
  })

  test('does not change: a change that names one is refused', async () => {
    const { id } = (await post({})).body
    const answer = await api.call('PATCH', `/v1/meetings/${id}`, { body: { organizer: HOST } })
    expect(answer.body.code).toBe('unknown_field')
  })
})
