import type { drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

const uploader = 'archivo@clinica.example'
const driveId = '0ASharedDrivePVA'
const folderType = 'application/vnd.google-apps.folder'

let google: GoogleSandbox
let drive: drive_v3.Drive
let folderId: string
beforeAll(async () => {
  let nowMs = Date.now()
  google = await openGoogle({
    // Every look at the clock is a second later, so that orders by time are certain.
    nowMs: () => {
      nowMs += 1000
      return nowMs
    },
    sharedDrives: [{ id: driveId, name: 'Grabaciones', members: { [uploader]: 'writer' } }],
  })
  drive = (await officialClients(google, uploader)).drive
  const make = async (requestBody: drive_v3.Schema$File) =>
    (await drive.files.create({ requestBody, supportsAllDrives: true })).data.id ?? ''
  folderId = await make({ name: 'Grabaciones 2026', mimeType: folderType })
  await make({
    name: "dr. O'Neil.mp4",
    mimeType: 'video/mp4',
    parents: [folderId],
    appProperties: { rec: '7' },
  })
  const gone = await make({ name: 'vieja.mp4', mimeType: 'video/mp4', parents: [folderId] })
  await drive.files.update({ fileId: gone, requestBody: { trashed: true } })
  await make({ name: 'comun.mp4', mimeType: 'video/mp4', parents: [driveId] })
})
afterAll(() => google.stop())

const list = async (query: drive_v3.Params$Resource$Files$List) => (await drive.files.list(query)).data
const names = async (q: string, more: drive_v3.Params$Resource$Files$List = {}) =>
  ((await list({ q, orderBy: 'createdTime', ...more })).files ?? []).map(file => file.name)
const oneil = "dr. O'Neil.mp4"
const folder = 'Grabaciones 2026'

describe('a search', () => {
  test.each([
    [`name = 'dr. O\\'Neil.mp4'`, [oneil]],
    [`name contains 'graba'`, [folder]],
    [`name contains 'abaciones'`, []],
    [`mimeType = '${folderType}'`, [folder]],
    [`mimeType != '${folderType}' and trashed = false`, [oneil]],
    ['trashed = true', ['vieja.mp4']],
    [`'root' in parents`, [folder]],
    [`appProperties has { key='rec' and value='7' } and trashed=false`, [oneil]],
    [`appProperties has { key='rec' and value='8' }`, []],
    [`trashed = true or mimeType = '${folderType}'`, [folder, 'vieja.mp4']],
    [`not (trashed = true or mimeType = '${folderType}')`, [oneil]],
    [`createdTime > '2999-01-01T00:00:00Z'`, []],
  ])('finds by %s', async (q, expected) => {
    expect(await names(q)).toEqual(expected)
  })

  test('finds the children of a folder', async () => {
    expect(await names(`'${folderId}' in parents and trashed = false`)).toEqual([oneil])
  })

  test.each([
    'title = 1',
    "name ~ 'x'",
    "name = 'x",
    "(name = 'x'",
    'trashed',
    "name = 'x' name = 'y'",
    "size > '5'",
  ])('is refused when it is not understood: %s', async q => {
    expect(await failureOf(names(q))).toMatchObject({ status: 400, reason: 'invalid' })
  })
})

describe('a list', () => {
  const everywhere = { supportsAllDrives: true, includeItemsFromAllDrives: true }

  test('has items of shared drives only when they are asked for', async () => {
    expect(await names("name = 'comun.mp4'")).toEqual([])
    expect(await names("name = 'comun.mp4'", everywhere)).toEqual(['comun.mp4'])
    expect(await names('trashed = false', { ...everywhere, corpora: 'drive', driveId })).toEqual([
      'comun.mp4',
    ])
  })

  test('of one drive needs everything that belongs to it', async () => {
    expect((await failureOf(list({ corpora: 'drive', driveId }))).status).toBe(400)
    expect((await failureOf(list({ ...everywhere, driveId }))).status).toBe(400)
    expect((await failureOf(list({ ...everywhere, corpora: 'drive', driveId: 'no' }))).status).toBe(404)
  })

  test('comes in pages and in the order asked for', async () => {
    const orderBy = 'name desc'
    const first = await list({ orderBy, pageSize: 2 })
    const second = await list({ orderBy, pageSize: 2, pageToken: first.nextPageToken ?? '' })
    expect([first, second].flatMap(page => page.files?.map(file => file.name))).toEqual([
      'vieja.mp4',
      oneil,
      folder,
    ])
    expect(second.nextPageToken).toBeUndefined()
    expect((await failureOf(list({ orderBy: 'colour' }))).status).toBe(400)
  })
})
