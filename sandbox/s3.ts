import { startFauxqs } from 'fauxqs'

export interface ObjectStore {
  endpoint: string
  stop(): Promise<void>
}

/** An S3 server in this process with one empty bucket; objects are plain files in `dir`. */
export async function startObjectStore({
  dir,
  bucket,
  host = '127.0.0.1',
  port = 0,
}: {
  dir: string
  bucket: string
  host?: string
  port?: number
}): Promise<ObjectStore> {
  const server = await startFauxqs({ host, port, s3StorageDir: dir })
  server.createBucket(bucket)
  let stopped: Promise<void> | undefined
  return {
    endpoint: `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${server.port}`,
    stop() {
      stopped ??= server.stop()
      return stopped
    },
  }
}
