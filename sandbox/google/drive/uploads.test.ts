import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

const unit = 256 * 1024
const data = randomBytes(2 * unit + 1234)
const total = data.length
const uploader = 'archivo@clinica.example'
const sharedDriveId = '0ASharedDrivePVA'

let google: GoogleSandbox
let drive: drive_v3.Drive
let token: string
let nowMs = Date.now()
beforeAll(async () => {
  google = await openGoogle({
    nowMs: () => nowMs,
    sharedDrives: [{ id: sharedDriveId, name: 'Grabaciones', members: { [uploader]: 'fileOrganizer' } }],
  })
  const clients = await officialClients(google, uploader)
  drive = clients.drive
  token = clients.token
})
afterEach(() => google.faults.clear())
afterAll(() => google.stop())

function begin(
  metadata: object,
  options: { query?: string; headers?: Record<string, string>; as?: string } = {},
) {
  const { query = '', headers, as = token } = options
  return fetch(`${google.baseUrls.driveUpload}/upload/drive/v3/files?uploadType=resumable${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(metadata),
  })
}

async function session(metadata: object = { name: 'a.mp4' }, options: Parameters<typeof begin>[1] = {}) {
  const answer = await begin(metadata, options)
  const location = answer.headers.get('location')
  if (answer.status !== 200 || !location)
    throw new Error(`No session: ${answer.status} ${await answer.text()}`)
  return location
}

function put(location: string, range: string | undefined, body?: Uint8Array) {
  const headers = range === undefined ? undefined : { 'content-range': range }
  return fetch(location, {
    method: 'PUT',
    ...(headers && { headers }),
    ...(body && { body: Buffer.from(body) }),
  })
}
const slice = (first: number, last: number) => data.subarray(first, last + 1)
const chunk = (location: string, first: number, last: number, size: number | '*' = total) =>
  put(location, `bytes ${first}-${last}/${size}`, slice(first, last))
const ask = (location: string, range = `bytes */${total}`) => put(location, range)
const fields = '&fields=id,name,mimeType,size,md5Checksum,sha1Checksum,sha256Checksum'

async function newId(): Promise<string> {
  return (await drive.files.generateIds({ count: 1 })).data.ids?.[0] ?? ''
}

async function problemOf(answer: Response) {
  const body = (await answer.json()) as { error: { errors: { reason: string }[]; message: string } }
  return { status: answer.status, reason: body.error.errors[0]?.reason, message: body.error.message }
}

describe('a resumable upload', () => {
  test('in one piece ends with the file, its size as text and three checksums', async () => {
    const id = await newId()
    const location = await session({ id, name: 'consulta.mp4', mimeType: 'video/mp4' }, { query: fields })
    const answer = await put(location, undefined, data)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      id,
      name: 'consulta.mp4',
      mimeType: 'video/mp4',
      size: String(total),
      md5Checksum: createHash('md5').update(data).digest('hex'),
      sha1Checksum: createHash('sha1').update(data).digest('hex'),
      sha256Checksum: createHash('sha256').update(data).digest('hex'),
    })
    const { data: stored } = await drive.files.get(
      { fileId: id, alt: 'media' },
      { responseType: 'arraybuffer' },
    )
    expect(Buffer.from(stored as unknown as ArrayBuffer).equals(data)).toBe(true)
  })

  test('in chunks is answered with 308 and the last byte kept, and nothing is there before the end', async () => {
    const id = await newId()
    const location = await session({ id, name: 'a.mp4' })
    const first = await chunk(location, 0, unit - 1)
    expect(first.status).toBe(308)
    expect(first.headers.get('range')).toBe(`bytes=0-${unit - 1}`)
    expect(google.state.files.has(id)).toBe(false)
    await chunk(location, unit, 2 * unit - 1)
    expect((await chunk(location, 2 * unit, total - 1)).status).toBe(200)
    expect(google.state.files.get(id)?.content?.checksums.sha256Checksum).toBe(
      createHash('sha256').update(data).digest('hex'),
    )
  })

  test('of unknown length names the total with its last chunk', async () => {
    const location = await session()
    expect((await chunk(location, 0, unit - 1, '*')).status).toBe(308)
    expect((await chunk(location, unit, total - 1)).status).toBe(200)
  })

  test('that ends on a whole chunk is closed by the question with the total', async () => {
    const location = await session()
    expect((await chunk(location, 0, unit - 1, '*')).status).toBe(308)
    expect((await ask(location, 'bytes */*')).status).toBe(308)
    expect((await ask(location, `bytes */${unit}`)).status).toBe(200)
  })

  test('of nothing makes an empty file', async () => {
    const answer = await put(await session(undefined, { query: '&fields=size,md5Checksum' }), 'bytes */0')
    expect(await answer.json()).toEqual({ size: '0', md5Checksum: 'd41d8cd98f00b204e9800998ecf8427e' })
  })

  test('answers a question without Range while nothing is kept, and with the file once it is complete', async () => {
    const location = await session()
    const before = await ask(location)
    expect(before.status).toBe(308)
    expect(before.headers.has('range')).toBe(false)
    await put(location, undefined, data)
    expect((await ask(location)).status).toBe(200)
    expect((await ask(location, 'bytes */*')).status).toBe(200)
  })

  test('skips bytes that are sent twice', async () => {
    const location = await session(undefined, { query: '&fields=sha256Checksum' })
    await chunk(location, 0, unit - 1)
    const answer = await chunk(location, 0, total - 1)
    expect(await answer.json()).toEqual({ sha256Checksum: createHash('sha256').update(data).digest('hex') })
  })

  test('can keep less than was sent', async () => {
    const location = await session()
    google.faults.add({ kind: 'partialStore', storedBytes: unit + 100 })
    const short = await chunk(location, 0, 2 * unit - 1)
    expect(short.status).toBe(308)
    expect(short.headers.get('range')).toBe(`bytes=0-${unit - 1}`)
    google.faults.add({ kind: 'partialStore' })
    expect((await chunk(location, unit, total - 1)).headers.get('range')).toBe(`bytes=0-${unit - 1}`)
    expect((await chunk(location, unit, total - 1)).status).toBe(200)
  })

  test('keeps whole blocks of a request that breaks off in the middle', async () => {
    const location = await session()
    const { hostname, port, pathname, search } = new URL(location)
    const socket = connect(Number(port), hostname)
    socket.write(
      `PUT ${pathname}${search} HTTP/1.1\r\nhost: sandbox\r\ncontent-length: ${total}\r\ncontent-range: bytes 0-${total - 1}/${total}\r\n\r\n`,
    )
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.write(data.subarray(0, unit + 999), () => resolve())
    })
    const stored = () => [...google.state.uploads.values()].at(-1)?.storage.sizeBytes
    await expect.poll(stored).toBe(unit)
    socket.destroy()
    expect((await ask(location)).headers.get('range')).toBe(`bytes=0-${unit - 1}`)
    expect((await chunk(location, unit, total - 1)).status).toBe(200)
  })

  test('can lose the answer to its last chunk and still be complete', async () => {
    const location = await session()
    google.faults.add({ kind: 'cut', service: 'driveUpload' })
    await expect(put(location, undefined, data)).rejects.toThrow()
    expect((await ask(location)).status).toBe(200)
  })
})

describe('a chunk is refused with 400', () => {
  test.each([
    ['when it is not a multiple of 256 KiB and not the last', 'bytes 0-999/*', 1000, '262144'],
    ['when it leaves a gap', `bytes ${unit}-${2 * unit - 1}/${total}`, unit, 'exceeds already uploaded size'],
    ['when its length is not its range', `bytes 0-${unit - 1}/${total}`, 10, 'Content-Range'],
    ['when its range is nonsense', 'bytes 5-1/9', 5, 'Content-Range'],
  ])('%s', async (_why, range, length, text) => {
    const answer = await put(await session(), range, data.subarray(0, length))
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain(text)
  })

  test('when its total is not the size declared at the start', async () => {
    const location = await session(undefined, { headers: { 'x-upload-content-length': '5' } })
    expect((await put(location, undefined, data)).status).toBe(400)
  })
})

describe('a session', () => {
  test('is 404 after a week', async () => {
    const location = await session()
    const weekMs = 7 * 24 * 3600_000
    nowMs += weekMs
    expect((await ask(location)).status).toBe(308)
    nowMs += 1
    expect((await ask(location)).status).toBe(404)
    nowMs -= weekMs + 1
  })

  test('is 404 when it is unknown, and after it was given up', async () => {
    expect((await ask(`${google.url}/upload/drive/v3/files?upload_id=no`)).status).toBe(404)
    const location = await session()
    expect((await fetch(location, { method: 'DELETE' })).status).toBe(499)
    expect((await ask(location)).status).toBe(404)
  })

  test('is refused with 409 for an id that is used, at the start and at the end', async () => {
    const id = await newId()
    const [first, second] = [await session({ id }), await session({ id })]
    await put(first, undefined, data)
    expect(await problemOf(await put(second, undefined, data))).toMatchObject({ status: 409 })
    expect(await problemOf(await begin({ id }))).toMatchObject({ status: 409, reason: 'fileIdInUse' })
  })

  test('is refused with 400 for an id that Google did not make', async () => {
    expect(await problemOf(await begin({ id: 'home-made' }))).toMatchObject({ status: 400 })
  })

  test('replaces the content of a file with PATCH', async () => {
    const { data: file } = await drive.files.create({ requestBody: { name: 'a' } })
    const answer = await fetch(`${google.url}/upload/drive/v3/files/${file.id}?uploadType=resumable`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${token}` },
    })
    await put(answer.headers.get('location') ?? '', undefined, data)
    expect(google.state.files.get(file.id ?? '')).toMatchObject({ name: 'a', content: { sizeBytes: total } })
  })

  test('of another kind than resumable is 501', async () => {
    const media = await fetch(`${google.url}/upload/drive/v3/files?uploadType=media`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
    expect(media.status).toBe(501)
  })
})

describe('room for files', () => {
  test('is not there for a service account in My Drive: 403 storageQuotaExceeded', async () => {
    const { token: bare } = await officialClients(google)
    const refused = await problemOf(await begin({ name: 'a' }, { as: bare }))
    expect(refused).toMatchObject({ status: 403, reason: 'storageQuotaExceeded' })
    expect(refused.message).toContain('Service Accounts do not have storage quota.')
  })

  test('can run out on demand', async () => {
    google.faults.add({ kind: 'error', service: 'driveUpload', status: 403, reason: 'storageQuotaExceeded' })
    expect(await problemOf(await begin({ name: 'a' }))).toMatchObject({
      status: 403,
      reason: 'storageQuotaExceeded',
    })
  })

  test('on a shared drive needs supportsAllDrives: 404 otherwise', async () => {
    const metadata = { name: 'a', parents: [sharedDriveId] }
    expect(await problemOf(await begin(metadata))).toMatchObject({ status: 404, reason: 'notFound' })
    const location = await session(metadata, {
      query: '&supportsAllDrives=true&fields=driveId,parents,owners',
    })
    expect(await (await put(location, undefined, data)).json()).toEqual({
      driveId: sharedDriveId,
      parents: [sharedDriveId],
    })
  })
})
