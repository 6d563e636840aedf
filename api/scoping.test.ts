import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
let theirs: string
let stranger: string
let meeting: { id: string; topic: string }

beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
  theirs = await api.keyOf('Clínica Andina')
  stranger = await api.keyOf('Hospital del Valle')
  const body = newMeeting({ externalId: 'XOMA-1', participants: [{ email: 'ana@clinica.example' }] })
  meeting = (await api.call('POST', '/v1/meetings', { body })).body
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

test('every key of an organisation reaches its meetings', async () => {
  expect((await api.call('GET', `/v1/meetings/${meeting.id}`, { key: theirs })).status).toBe(200)
})

test.each([
  ['GET', '', undefined],
  ['PATCH', '', { topic: 'Ajeno' }],
  ['DELETE', '', undefined],
  ['GET', '/participants', undefined],
  ['GET', '/recording', undefined],
])('another organisation is told by %s of %s that there is no such meeting', async (method, rest, body) => {
  const unknown = '5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d'
  const ask = (id: string) => api.call(method, `/v1/meetings/${id}${rest}`, { key: stranger, body })
  const [answer, nothing] = [await ask(meeting.id), await ask(unknown)]
  expect(answer.status).toBe(404)
  const told = ({ detail, code, title }: Record<string, unknown>) => ({ detail, code, title })
  expect(told(answer.body)).toEqual(told(nothing.body))
})

test.each([
  '',
  '?externalId=XOMA-1',
  '?participant=ana@clinica.example',
  '?status=scheduled',
  '?recordingStatus=pending',
  '?host=agenda@clinica.example',
  '?text=comite',
])('another organisation finds nothing by %s', async query => {
  expect((await api.call('GET', `/v1/meetings${query}`)).body.items).toHaveLength(1)
  expect((await api.call('GET', `/v1/meetings${query}`, { key: stranger })).body.items).toEqual([])
})

test("another organisation cannot page through these meetings with their owner's cursor", async () => {
  await api.call('POST', '/v1/meetings', { body: newMeeting() })
  const { nextCursor } = (await api.call('GET', '/v1/meetings?limit=1')).body
  expect(nextCursor).toBeTruthy()
  const answer = await api.call('GET', `/v1/meetings?cursor=${nextCursor}`, { key: stranger })
  expect(answer.body).toMatchObject({ status: 400, code: 'bad_cursor' })
})

test('two organisations use the same external id for meetings of their own', async () => {
  const body = newMeeting({ externalId: 'XOMA-1' })
  const answer = await api.call('POST', '/v1/meetings', { body, key: stranger })
  expect(answer.status).toBe(201)
  expect(answer.body.id).not.toBe(meeting.id)
})

test('nothing that the stranger tried has changed the meeting', async () => {
  const shown = (await api.call('GET', `/v1/meetings/${meeting.id}`)).body
  expect(shown).toEqual(meeting)
})
