import type { drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

const uploader = 'archivo@clinica.example'
const sharedDriveId = '0ASharedDrivePVA'
const folderType = 'application/vnd.google-apps.folder'

let google: GoogleSandbox
let drive: drive_v3.Drive
let other: drive_v3.Drive
let token: string
beforeAll(async () => {
  google = await openGoogle({
    sharedDrives: [
      {
        id: sharedDriveId,
        name: 'Grabaciones',
        members: { [uploader]: 'fileOrganizer', 'agenda@clinica.example': 'reader' },
      },
    ],
  })
  const clients = await officialClients(google, uploader)
  drive = clients.drive
  token = clients.token
  other = (await officialClients(google, 'agenda@clinica.example')).drive
})
afterAll(() => google.stop())

const create = async (requestBody: drive_v3.Schema$File, more: object = {}) =>
  (await drive.files.create({ requestBody, fields: '*', ...more })).data
const shared = { supportsAllDrives: true }

/** A video of its own, sent in one piece. */
async function upload(name: string, content: string, mimeType = 'video/mp4'): Promise<string> {
  const started = await fetch(`${google.url}/upload/drive/v3/files?uploadType=resumable`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, mimeType }),
  })
  const answer = await fetch(started.headers.get('location') ?? '', { method: 'PUT', body: content })
  return ((await answer.json()) as { id: string }).id
}

describe('files and folders', () => {
  test('answer with four fields unless asked for more', async () => {
    const { data } = await drive.files.create({ requestBody: { name: 'Carpeta', mimeType: folderType } })
    expect(data).toEqual({
      kind: 'drive#file',
      id: expect.any(String),
      name: 'Carpeta',
      mimeType: folderType,
    })
  })

  test('lie in one folder and move with addParents and removeParents', async () => {
    const [from, to] = [
      await create({ name: 'a', mimeType: folderType }),
      await create({ name: 'b', mimeType: folderType }),
    ]
    const file = await create({ name: 'x', parents: [from.id ?? ''] })
    const move = (removeParents?: string) =>
      drive.files.update({
        fileId: file.id ?? '',
        addParents: to.id ?? '',
        ...(removeParents && { removeParents }),
        fields: 'parents',
      })
    expect(await failureOf(move())).toMatchObject({ status: 403, reason: 'cannotAddParent' })
    expect((await move(from.id ?? '')).data.parents).toEqual([to.id])
    const parents = [from.id ?? '', to.id ?? '']
    expect((await failureOf(create({ name: 'y', parents }))).status).toBe(400)
  })

  test('are 404 when unknown, unseen, or below an unknown folder', async () => {
    const file = await create({ name: 'mine' })
    for (const call of [
      drive.files.get({ fileId: 'nothing' }),
      other.files.get({ fileId: file.id ?? '' }),
      create({ name: 'x', parents: ['nothing'] }),
    ])
      expect(await failureOf(call)).toMatchObject({ status: 404, reason: 'notFound' })
  })

  test('take a generated id once', async () => {
    const ids = (await drive.files.generateIds({ count: 2 })).data.ids ?? []
    expect(new Set(ids).size).toBe(2)
    const requestBody = { id: ids[0] ?? '', name: 'x', mimeType: folderType }
    expect((await create(requestBody)).id).toBe(ids[0])
    expect((await failureOf(create(requestBody))).status).toBe(409)
  })

  test('change their metadata, with null deleting a property', async () => {
    const file = await create({ name: 'x', appProperties: { a: '1', b: '2' } })
    const requestBody = { name: 'y', appProperties: { a: null as unknown as string } }
    const { data } = await drive.files.update({
      fileId: file.id ?? '',
      requestBody,
      fields: 'name,appProperties',
    })
    expect(data).toEqual({ name: 'y', appProperties: { b: '2' } })
  })

  test('refuse properties that are too long, and writing parents in an update', async () => {
    expect((await failureOf(create({ name: 'x', appProperties: { key: 'v'.repeat(122) } }))).status).toBe(400)
    const file = await create({ name: 'x' })
    const update = drive.files.update({ fileId: file.id ?? '', requestBody: { parents: ['root'] } })
    expect(await failureOf(update)).toMatchObject({ status: 403, reason: 'fieldNotWritable' })
  })

  test('go away with the folder that is deleted', async () => {
    const folder = await create({ name: 'a', mimeType: folderType })
    const file = await create({ name: 'x', parents: [folder.id ?? ''] })
    expect((await drive.files.delete({ fileId: folder.id ?? '' })).status).toBe(204)
    expect((await failureOf(drive.files.get({ fileId: file.id ?? '' }))).status).toBe(404)
  })
})

describe('content', () => {
  test('comes whole, or the range asked for with 206', async () => {
    const fileId = await upload('a.mp4', '0123456789')
    const read = async (range?: string) => {
      const answer = await fetch(`${google.url}/drive/v3/files/${fileId}?alt=media`, {
        headers: { authorization: `Bearer ${token}`, ...(range && { range }) },
      })
      return [answer.status, await answer.text(), answer.headers.get('content-range')]
    }
    expect(await read()).toEqual([200, '0123456789', null])
    expect(await read('bytes=2-4')).toEqual([206, '234', 'bytes 2-4/10'])
    expect(await read('bytes=7-')).toEqual([206, '789', 'bytes 7-9/10'])
    expect(await read('bytes=-3')).toEqual([206, '789', 'bytes 7-9/10'])
    expect((await read('bytes=10-')).slice(0, 1)).toEqual([416])
  })

  test('is not there for a folder', async () => {
    const folder = await create({ name: 'a', mimeType: folderType })
    expect(await failureOf(drive.files.get({ fileId: folder.id ?? '', alt: 'media' }))).toMatchObject({
      status: 403,
      reason: 'fileNotDownloadable',
    })
  })

  test('opens for a person at the link of the file, which plays it', async () => {
    const fileId = await upload('Consulta <1>.mp4', 'video bytes')
    const link = (await drive.files.get({ fileId, fields: 'webViewLink' })).data.webViewLink ?? ''
    const page = await fetch(link)
    expect(page.headers.get('content-type')).toContain('text/html')
    const html = await page.text()
    expect(html).toContain('<video src="content"')
    expect(html).not.toContain('<1>')
    const video = await fetch(new URL('content', link), { headers: { range: 'bytes=0-4' } })
    expect([video.status, await video.text(), video.headers.get('content-type')]).toEqual([
      206,
      'video',
      'video/mp4',
    ])
    expect((await fetch(`${google.url}/file/d/nothing/view`)).status).toBe(404)
  })
})

describe('shared drives', () => {
  const make = (name: string) => create({ name, mimeType: folderType, parents: [sharedDriveId] }, shared)

  test('are named by their id as a folder', async () => {
    const { data } = await drive.files.get({ fileId: sharedDriveId, fields: 'id,driveId,name', ...shared })
    expect(data).toEqual({ id: sharedDriveId, driveId: sharedDriveId, name: 'Grabaciones' })
    expect((await drive.drives.list()).data.drives?.map(one => one.name)).toEqual(['Grabaciones'])
    expect((await failureOf(drive.drives.get({ driveId: 'nothing' }))).status).toBe(404)
  })

  test('own their items: 404 without supportsAllDrives, no owners', async () => {
    const folder = await make('2026')
    expect(folder).toMatchObject({ driveId: sharedDriveId, parents: [sharedDriveId] })
    expect(folder.owners).toBeUndefined()
    const fileId = folder.id ?? ''
    expect((await failureOf(drive.files.get({ fileId }))).status).toBe(404)
    expect((await failureOf(drive.files.update({ fileId, requestBody: { name: 'x' } }))).status).toBe(404)
    expect(
      (await failureOf(drive.files.create({ requestBody: { name: 'x', parents: [fileId] } }))).status,
    ).toBe(404)
    expect((await drive.files.get({ fileId, ...shared })).data.name).toBe('2026')
  })

  test('let readers read and not write; strangers see nothing', async () => {
    const fileId = (await make('2027')).id ?? ''
    expect((await other.files.get({ fileId, ...shared })).data.name).toBe('2027')
    expect(
      await failureOf(other.files.update({ fileId, requestBody: { name: 'x' }, ...shared })),
    ).toMatchObject({
      status: 403,
      reason: 'insufficientFilePermissions',
    })
    const stranger = (await officialClients(google, 'testigo@clinica.example')).drive
    expect((await failureOf(stranger.files.get({ fileId, ...shared }))).status).toBe(404)
  })
})

test('the scope drive.file reaches only what the app made', async () => {
  const limited = await officialClients(google, uploader, ['https://www.googleapis.com/auth/drive.file'])
  const file = await create({ name: 'x' })
  const fileId = file.id ?? ''
  expect((await limited.drive.files.get({ fileId })).status).toBe(200)
  const stored = google.state.files.get(fileId)
  if (!stored) throw new Error('The file is not in the state')
  stored.madeByApp = false
  expect((await failureOf(limited.drive.files.get({ fileId }))).status).toBe(404)
})
