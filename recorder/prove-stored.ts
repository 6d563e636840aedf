import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import type { Store } from '../storage/s3.ts'

/** What was put into the bucket is not what was made here. */
export class NotStored extends Error {
  readonly code = 'not_stored'
}

/**
 * Proves that an object is what was to be stored. Each part was checked against its SHA-256 by the store when it arrived;
 * here size and the SHA-256 kept with the object are compared, and with `reread` every byte is read back, as has to be
 * before the only other copy is removed.
 * @throws {NotStored}
 */
export async function proveStored(
  store: Store,
  { key, sha256, sizeBytes }: { key: string; sha256: string; sizeBytes: number },
  { reread, signal }: { reread: boolean; signal: AbortSignal },
): Promise<void> {
  const there = await store.head(key)
  if (there === undefined) throw new NotStored(`${key} is not in the bucket`)
  if (there.sizeBytes !== sizeBytes || there.sha256 !== sha256)
    throw new NotStored(`${key} in the bucket is not the file that was made`)
  if (!reread) return
  const hash = createHash('sha256')
  await pipeline(await store.get(key, signal, { proven: true }), hash, { signal })
  if (hash.digest('hex') !== sha256) throw new NotStored(`${key} was damaged on its way into the bucket`)
}
