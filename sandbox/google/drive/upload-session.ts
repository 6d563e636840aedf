import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Caller } from '../identity.ts'
import type { Checksums, StoredFile } from './file.ts'

export const chunkUnitBytes = 256 * 1024

/** One resumable upload, from its start to its finish or its last day (google-apis.md §4.2). */
export interface UploadSession {
  id: string
  caller: Caller
  /** The file to be made, or the new shape of the file whose content is replaced. */
  file: StoredFile
  replaces: boolean
  /** `fields` of the request that began it: they shape the answer at the end. */
  fields: string | undefined
  declaredSizeBytes: number | undefined
  storage: StoredBytes
  startedMs: number
  finished: boolean
  /** Settles when the newest request to this session has been taken in. */
  turn: Promise<void>
}

/**
 * The bytes of an upload as they arrive: written and hashed in blocks of 256 KiB, so that what an interrupted request
 * leaves behind is a whole number of blocks, as Google keeps it.
 */
export class StoredBytes {
  readonly path: string
  /** Bytes kept so far. */
  sizeBytes = 0
  readonly #hashes: [keyof Checksums, Hash][] = [
    ['md5Checksum', createHash('md5')],
    ['sha1Checksum', createHash('sha1')],
    ['sha256Checksum', createHash('sha256')],
  ]

  constructor(path: string) {
    this.path = path
  }

  /**
   * Appends a request's body after its first `skipBytes` (bytes that are kept already). Keeps at most `limitBytes` of
   * the rest and drops what follows. The odd bytes after the last whole block are kept only when `keepTail`, and only
   * if the body came in whole. Returns how many bytes of body arrived, and whether it came in whole.
   */
  async append(
    body: Readable,
    options: { skipBytes: number; limitBytes: number; keepTail: boolean },
  ): Promise<{ arrivedBytes: number; whole: boolean }> {
    let block = Buffer.alloc(0)
    let arrivedBytes = 0
    let whole = true
    const file = await open(this.path, this.sizeBytes === 0 ? 'w' : 'r+')
    try {
      let room = options.limitBytes
      for await (const piece of body as AsyncIterable<Buffer>) {
        const skip = Math.max(0, Math.min(piece.length, options.skipBytes - arrivedBytes))
        arrivedBytes += piece.length
        const wanted = piece.subarray(skip, skip + room)
        room -= wanted.length
        block = Buffer.concat([block, wanted])
        const fullBytes = block.length - (block.length % chunkUnitBytes)
        if (fullBytes > 0) await this.#write(file, block.subarray(0, fullBytes))
        block = block.subarray(fullBytes)
      }
      if (options.keepTail && block.length > 0) await this.#write(file, block)
    } catch (error) {
      // The client went away in the middle: what is on disk stays, as with Google.
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
      whole = false
    } finally {
      await file.close()
    }
    return { arrivedBytes, whole }
  }

  /** Fingerprints of everything kept so far. */
  checksums(): Checksums {
    return Object.fromEntries(
      this.#hashes.map(([name, hash]) => [name, hash.copy().digest('hex')]),
    ) as unknown as Checksums
  }

  async #write(file: Awaited<ReturnType<typeof open>>, bytes: Buffer): Promise<void> {
    await file.write(bytes, 0, bytes.length, this.sizeBytes)
    for (const [, hash] of this.#hashes) hash.update(bytes)
    this.sizeBytes += bytes.length
  }
}
