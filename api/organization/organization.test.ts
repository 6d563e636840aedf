import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle({})
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const change = (body: unknown) => api.call('PATCH', '/v1/organization', { body })

test('an organisation begins in Spanish, with all mail on, and keeps everything', async () => {
  expect((await api.call('GET', '/v1/organization')).body).toMatchObject({
    name: 'Clínica Andina',
    language: 'es',
    notifications: { recordingAvailable: true, recordingFailed: true, coverageAlert: true, to: [] },
    retentionDays: null,
    googleDomain: null,
  })
})

test('a change leaves alone what it does not name, and is noted without addresses', async () => {
  const first = await change({
    notifications: { recordingAvailable: false, to: ['Calidad@Clinica.example'] },
    retentionDays: 5475,
  })
  expect(first.status).toBe(200)
  const second = await change({ language: 'en', notifications: { coverageAlert: false } })
  expect(second.body).toMatchObject({
    language: 'en',
    notifications: {
      recordingAvailable: false,
      recordingFailed: true,
      coverageAlert: false,
      to: ['calidad@clinica.example'],
    },
    retentionDays: 5475,
  })
  expect((await api.call('GET', '/v1/organization')).body).toEqual(second.body)
  const { items } = (await api.call('GET', '/v1/audit?action=organization.changed')).body
  expect(items[1].detail).toMatchObject({
    before: { recordingAvailable: true, retentionDays: null, to: 0 },
    after: { recordingAvailable: false, retentionDays: 5475, to: 1 },
  })
  expect(items[0].detail.after).toEqual({ language: 'en', coverageAlert: false })
  expect(JSON.stringify(items)).not.toContain('calidad@')
  expect((await change({ retentionDays: null })).body.retentionDays).toBeNull()
})

test.each([
  [{}, 'invalid_request'],
  [{ googleDomain: 'clinica.example' }, 'unknown_field'],
  [{ name: 'x' }, 'unknown_field'],
  [{ retentionDays: 0 }, 'invalid_field'],
  [{ retentionDays: 1.5 }, 'invalid_field'],
  [{ language: 'fr' }, 'invalid_field'],
  [{ notifications: { to: ['nobody'] } }, 'bad_email'],
  [{ notifications: { to: ['a@b.example', 'A@b.example'] } }, 'invalid_field'],
])('%j is refused', async (body, code) => {
  const answer = await change(body)
  expect([answer.status, answer.body.code]).toEqual([422, code])
})
