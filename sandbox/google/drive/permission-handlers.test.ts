import type { drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

let google: GoogleSandbox
let drive: drive_v3.Drive
let other: drive_v3.Drive
let fileId: string
const reader = 'agenda@clinica.example'

beforeAll(async () => {
  google = await openGoogle()
  drive = (await officialClients(google, 'archivo@clinica.example')).drive
  other = (await officialClients(google, reader)).drive
})
beforeEach(async () => {
  google.state.mails.length = 0
  fileId = (await drive.files.create({ requestBody: { name: 'a.mp4' } })).data.id ?? ''
})
afterAll(() => google.stop())

const share = async (requestBody: drive_v3.Schema$Permission, more: object = {}) =>
  (await drive.permissions.create({ fileId, requestBody, fields: '*', ...more })).data
const canRead = async () => (await other.files.get({ fileId })).status === 200

test('sharing with a person lets them read, tells them by mail unless told not to, and can be taken back', async () => {
  const { id } = await share({ type: 'user', role: 'reader', emailAddress: reader })
  expect(google.state.mails).toEqual([{ kind: 'share', to: reader, about: fileId, subject: 'a.mp4' }])
  expect(await canRead()).toBe(true)
  expect((await failureOf(other.files.update({ fileId, requestBody: { name: 'b' } }))).status).toBe(403)
  await drive.permissions.delete({ fileId, permissionId: id ?? '' })
  expect((await failureOf(other.files.get({ fileId }))).status).toBe(404)
  await share({ type: 'user', role: 'reader', emailAddress: reader }, { sendNotificationEmail: false })
  expect(google.state.mails).toHaveLength(1)
})

test.each([
  ['anyone', {}],
  ['domain', { domain: 'clinica.example' }],
])('sharing with %s lets others read', async (type, more) => {
  await share({ type, role: 'reader', ...more })
  expect(await canRead()).toBe(true)
})

test('sharing a folder shares what is in it', async () => {
  const mimeType = 'application/vnd.google-apps.folder'
  const folder = (await drive.files.create({ requestBody: { name: 'f', mimeType } })).data.id ?? ''
  const inside = (await drive.files.create({ requestBody: { name: 'x', parents: [folder] } })).data.id ?? ''
  fileId = folder
  await share({ type: 'user', role: 'writer', emailAddress: reader })
  expect((await other.files.update({ fileId: inside, requestBody: { name: 'y' } })).status).toBe(200)
})

test('the same person again changes the role and makes no second permission', async () => {
  await share({ type: 'user', role: 'reader', emailAddress: reader })
  const { id } = await share({ type: 'user', role: 'writer', emailAddress: reader })
  const { data } = await drive.permissions.list({ fileId })
  expect(data.permissions).toHaveLength(2)
  expect((await drive.permissions.get({ fileId, permissionId: id ?? '' })).data.role).toBe('writer')
})

test.each([
  [{ role: 'reader', type: 'crowd' }, 400],
  [{ role: 'king', type: 'anyone' }, 400],
  [{ role: 'reader', type: 'user' }, 400],
  [{ role: 'reader', type: 'domain' }, 400],
  [{ role: 'owner', type: 'user', emailAddress: reader }, 403],
  [{ role: 'reader', type: 'anyone', expirationTime: '2999-01-01T00:00:00Z' }, 403],
])('%j is refused with %i', async (requestBody, status) => {
  expect((await failureOf(share(requestBody))).status).toBe(status)
})

test('an unknown permission is 404', async () => {
  expect((await failureOf(drive.permissions.get({ fileId, permissionId: '1' }))).status).toBe(404)
})
