// Object Lock in front of an S3 server that has none: keeps versions and locks, refuses what Amazon refuses, and leaves
// the bytes to the server behind it. By the Amazon S3 User Guide ("Object Lock considerations") and the API Reference.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { errorXml, fromXml, toXml, versionsXml } from './object-lock-xml.ts'
import { type Lock, type LockRules, openVersions, Refusal, type Version } from './object-versions.ts'

export interface LockingStore extends AsyncDisposable {
  endpoint: string
  /** Method and path with query of every request so far. */
  requests(): string[]
  stop(): Promise<void>
}

interface Upload {
  key: string
  versionId: string
  lock: Lock | undefined
  parts: Map<string, number>
}

/** @param behind an S3 server with the bucket already made, e.g. `http://127.0.0.1:9000` */
export async function startLockingStore(
  options: LockRules & { behind: string; bucket: string; pageSize?: number },
): Promise<LockingStore> {
  const { behind, bucket, objectLock, pageSize = 1000 } = options
  const versions = openVersions(options)
  const uploads = new Map<string, Upload>()
  const seen: string[] = []
  const target = new URL(behind)

  const server = createServer(async (incoming, response) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    try {
      await serve(incoming, response)
    } catch (error) {
      if (!(error instanceof Refusal)) {
        response.destroy(error as Error)
        return
      }
      incoming.resume()
      answer(response, error.httpStatus, errorXml(error))
    }
  })

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', behind)
    const [, name = '', ...rest] = url.pathname.split('/').map(decodeURIComponent)
    const key = rest.join('/')
    if (name !== bucket) await forward(incoming, response, incoming.url ?? '/')
    else if (key === '') await ofBucket(incoming, response, url)
    else await ofObject(incoming, response, url, key)
  }

  async function ofBucket(incoming: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const query = url.searchParams
    const prefix = query.get('prefix') ?? ''
    if (incoming.method === 'GET' && query.has('object-lock')) {
      if (!objectLock)
        throw new Refusal(
          404,
          'ObjectLockConfigurationNotFoundError',
          'Object Lock configuration does not exist for this bucket',
        )
      const { byDefault } = objectLock
      const rule = byDefault
        ? `<Rule><DefaultRetention><Mode>${byDefault.mode}</Mode><Days>${byDefault.days}</Days></DefaultRetention></Rule>`
        : ''
      answer(
        response,
        200,
        `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`,
      )
    } else if (incoming.method === 'GET' && query.has('versions')) {
      const marker = `${query.get('key-marker') ?? ''}\n${query.get('version-id-marker') ?? ''}`
      const all = versions.all(prefix)
      const from = marker === '\n' ? 0 : all.findIndex(one => `${one.key}\n${one.versionId}` === marker) + 1
      answer(response, 200, versionsXml(all.slice(from, from + pageSize), all.length > from + pageSize))
    } else if (incoming.method === 'GET') {
      const found = versions
        .current(prefix)
        .map(({ key, sizeBytes }) => `<Contents><Key>${toXml(key)}</Key><Size>${sizeBytes}</Size></Contents>`)
      answer(
        response,
        200,
        `<ListBucketResult><IsTruncated>false</IsTruncated>${found.join('')}</ListBucketResult>`,
      )
    } else if (incoming.method === 'POST' && query.has('delete')) {
      answer(response, 200, await removeMany(await text(incoming), incoming))
    } else await forward(incoming, response, incoming.url ?? '/')
  }

  async function removeMany(xml: string, incoming: IncomingMessage): Promise<string> {
    const errors: string[] = []
    for (const [, object = ''] of xml.matchAll(/<Object>(.*?)<\/Object>/gs)) {
      const key = fromXml(/<Key>(.*?)<\/Key>/s.exec(object)?.[1] ?? '')
      const versionId = /<VersionId>(.*?)<\/VersionId>/.exec(object)?.[1]
      try {
        if (versionId === undefined) versions.hide(key)
        else await removeVersion(key, versionId, incoming)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        errors.push(
          `<Error><Key>${toXml(key)}</Key><VersionId>${versionId}</VersionId><Code>${error.code}</Code><Message>${error.message}</Message></Error>`,
        )
      }
    }
    return `<DeleteResult>${errors.join('')}</DeleteResult>`
  }

  async function removeVersion(key: string, versionId: string, incoming: IncomingMessage): Promise<void> {
    const bypass = incoming.headers['x-amz-bypass-governance-retention'] === 'true'
    const removed = versions.remove(key, versionId, bypass)
    if (removed && !removed.marker)
      await fetch(new URL(pathOf(removed), behind), { method: 'DELETE', signal: AbortSignal.timeout(5000) })
  }

  async function ofObject(
    incoming: IncomingMessage,
    response: ServerResponse,
    url: URL,
    key: string,
  ): Promise<void> {
    const { method } = incoming
    const query = url.searchParams
    const uploadId = query.get('uploadId')
    const header = (name: string) => incoming.headers[name]?.toString()
    if (uploadId !== null) await ofUpload(incoming, response, query, uploadId)
    else if (method === 'POST' && query.has('uploads')) {
      const upload = { key, versionId: versions.nextId(), lock: versions.readLock(header), parts: new Map() }
      const begun = await forward(incoming, response, `${pathOf(upload)}?uploads`)
      uploads.set(/<UploadId>(.*?)<\/UploadId>/.exec(begun)?.[1] ?? '', upload)
    } else if (method === 'PUT') {
      const lock = versions.readLock(header)
      if (lock && !isChecked(incoming))
        throw new Refusal(
          400,
          'InvalidRequest',
          'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
        )
      const put = { key, versionId: versions.nextId(), marker: false, lock, sizeBytes: sizeOf(incoming) }
      response.setHeader('x-amz-version-id', put.versionId)
      await forward(incoming, response, pathOf(put))
      if (response.statusCode === 200) versions.add(put)
    } else if (method === 'DELETE') {
      const asked = query.get('versionId')
      if (asked === null) response.setHeader('x-amz-delete-marker', 'true')
      else await removeVersion(key, asked, incoming)
      response.setHeader('x-amz-version-id', asked ?? versions.hide(key))
      answer(response, 204, '')
    } else {
      const version = versions.find(key, query.get('versionId') ?? undefined)
      if (version?.marker) response.setHeader('x-amz-delete-marker', 'true')
      if (!version || version.marker) throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.')
      describe(version, response)
      query.delete('versionId')
      await forward(incoming, response, `${pathOf(version)}?${query}`)
    }
  }

  async function ofUpload(
    incoming: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
    uploadId: string,
  ): Promise<void> {
    const upload = uploads.get(uploadId)
    if (!upload) throw new Refusal(404, 'NoSuchUpload', 'The specified upload does not exist.')
    const part = query.get('partNumber')
    if (part !== null) upload.parts.set(part, sizeOf(incoming))
    if (incoming.method === 'POST') response.setHeader('x-amz-version-id', upload.versionId)
    const body = await forward(incoming, response, `${pathOf(upload)}?${query}`)
    if (incoming.method !== 'POST' || response.statusCode !== 200 || body.includes('<Error>')) return
    const sizeBytes = [...upload.parts.values()].reduce((sum, size) => sum + size, 0)
    versions.add({
      key: upload.key,
      versionId: upload.versionId,
      marker: false,
      lock: upload.lock,
      sizeBytes,
    })
    uploads.delete(uploadId)
  }

  // Each version is an object of its own there.
  const pathOf = ({ key, versionId }: { key: string; versionId: string }) =>
    `/${bucket}/${`${key}.${versionId}`.split('/').map(encodeURIComponent).join('/')}`

  /** Hands a request on and its answer back. @returns the answer's body where it is short */
  function forward(incoming: IncomingMessage, response: ServerResponse, path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = target
      const { method, headers } = incoming
      const onward = request({ hostname, port, path, method, headers }, back => {
        for (const [name, value] of Object.entries(back.headers))
          if (value !== undefined && !response.hasHeader(name)) response.setHeader(name, value)
        response.writeHead(back.statusCode ?? 500)
        let body = ''
        back.on('data', (piece: Buffer) => {
          if (body.length < 65_536) body += piece.toString('latin1')
          response.write(piece)
        })
        back.on('end', () => {
          response.end()
          resolve(body)
        })
        back.on('error', reject)
      })
      onward.on('error', reject)
      incoming.pipe(onward)
    })
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const stop = async () => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => seen,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function describe({ versionId, lock }: Version, response: ServerResponse): void {
  response.setHeader('x-amz-version-id', versionId)
  if (!lock) return
  response.setHeader('x-amz-object-lock-mode', lock.mode)
  response.setHeader('x-amz-object-lock-retain-until-date', new Date(lock.untilMs).toISOString())
}

function isChecked({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some(
    name => name === 'content-md5' || name === 'x-amz-trailer' || /^x-amz-checksum-(sha|crc)/.test(name),
  )
}

const sizeOf = ({ headers }: IncomingMessage) =>
  Number(headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? 0)

function answer(response: ServerResponse, status: number, xml: string): void {
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(xml) })
  response.end(response.req.method === 'HEAD' ? undefined : xml)
}
