import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { type BuildAppOptions, buildApp } from 'fauxqs'

export interface ObjectStore extends AsyncDisposable {
  /** Where it answers, e.g. `http://127.0.0.1:9000`. */
  endpoint: string
  stop(): Promise<void>
}

type Stores = NonNullable<BuildAppOptions['stores']>
interface FileStorage {
  loadS3(store: Stores['s3Store']): void
  close(): void
}

/**
 * An S3 server in this process with one bucket; objects are plain files in `dir`. `startFauxqs`, which the package
 * offers for this, listens on every interface and logs to standard output; hence its parts, by their files.
 */
export async function startObjectStore(options: {
  dir: string
  bucket: string
  host?: string
  port?: number
}): Promise<ObjectStore> {
  const { dir, bucket, host = '127.0.0.1', port = 0 } = options
  await mkdir(dir, { recursive: true })
  const { stores, files } = await openStores(dir)
  const app = buildApp({ logger: false, stores })
  stores.s3Store.createBucket(bucket)
  await app.listen({ host, port })
  const { port: actualPort } = app.server.address() as AddressInfo
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      app.server.closeAllConnections()
      await app.close()
      files.close()
    })()
    return stopped
  }
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host
  return { endpoint: `http://${reachable}:${actualPort}`, stop, [Symbol.asyncDispose]: stop }
}

async function openStores(dir: string): Promise<{ stores: Stores; files: FileStorage }> {
  const part = async (file: string, name: string) => {
    const module = (await import(new URL(file, import.meta.resolve('fauxqs')).href)) as Record<
      string,
      new (
        dir?: string,
      ) => unknown
    >
    const Part = module[name]
    if (!Part) throw new Error(`this version of fauxqs has no ${name}`)
    return Part
  }
  const SqsStore = await part('sqs/sqsStore.js', 'SqsStore')
  const SnsStore = await part('sns/snsStore.js', 'SnsStore')
  const S3Store = await part('s3/s3Store.js', 'S3Store')
  const FileS3Persistence = await part('s3/fileS3Persistence.js', 'FileS3Persistence')
  const files = new FileS3Persistence(dir) as FileStorage
  const stores = { sqsStore: new SqsStore(), snsStore: new SnsStore(), s3Store: new S3Store() } as Stores
  files.loadS3(stores.s3Store)
  stores.s3Store.persistence = files as unknown as NonNullable<Stores['s3Store']['persistence']>
  return { stores, files }
}
