// Fragments → one plain MP4, index first, in one pass: the media are written behind room for the index.
import { type FileHandle, open } from 'node:fs/promises'
import type { FragmentPiece, InitPiece } from './fragments.ts'
import { movieIndex } from './movie-index.ts'
import { HEADER_BYTES, type Track } from './mp4-boxes.ts'
import type { Chapter } from './mp4-chapters.ts'
import { dataOf, type TrackRun } from './mp4-samples.ts'
import { type Chunk, TrackIndex } from './track-index.ts'
import { box } from './write-box.ts'

/** Pictures and sounds of a second, each with a size and at worst a duration of its own, and what their chunks need. */
const INDEX_BYTES_PER_SECOND = 700
const INDEX_BYTES_AT_LEAST = 4096
/** A header with a size of 64 bits; of less than 4 GiB half of it is a `free` box. */
const MEDIA_HEADER_BYTES = 16
const LARGEST_WORD = 2 ** 32 - 1
const WRITE_BYTES = 1024 * 1024
const MOVE_BYTES = 4 * 1024 * 1024

const FILE_TYPE = box('ftyp', Buffer.from('isom\0\0\x02\0isomiso2avc1mp41', 'latin1'))

export interface Mp4Writer extends AsyncDisposable {
  /** Appends a fragment's samples, each track moved by so much. Its buffer is free afterwards. */
  write(fragment: FragmentPiece, byMs: (track: Track) => number): Promise<void>
  /** Writes the index before the media; the file is complete then. */
  finish(chapters: readonly Chapter[]): Promise<void>
}

/**
 * Opens a file for the tracks of `init`. The index gets room for `expectedMs` of media; when that is not enough, the
 * media are moved once at the end. What cannot be written is thrown as it is (`ENOSPC`, `ENOENT`).
 */
export async function createMp4(file: string, init: InitPiece, expectedMs = 0): Promise<Mp4Writer> {
  const handle = await open(file, 'w+')
  const roomBytes = Math.ceil((expectedMs / 1000) * INDEX_BYTES_PER_SECOND) + INDEX_BYTES_AT_LEAST
  const mediaAt = FILE_TYPE.length + roomBytes + MEDIA_HEADER_BYTES
  const indexes = new Map(init.tracks.map(track => [track.id, new TrackIndex(track)]))
  const out = appendTo(handle, mediaAt)

  const writeRun = async ({ samples }: TrackRun, fragment: Buffer) => {
    const stretches: { dataAt: number; sizeBytes: number; samples: number }[] = []
    for (const { dataAt, sizeBytes } of samples) {
      const before = stretches.at(-1)
      if (before === undefined || before.dataAt + before.sizeBytes !== dataAt)
        stretches.push({ dataAt, sizeBytes, samples: 1 })
      else {
        before.sizeBytes += sizeBytes
        before.samples += 1
      }
    }
    const chunks: Chunk[] = []
    for (const stretch of stretches) {
      chunks.push({ atBytes: out.endBytes(), samples: stretch.samples })
      await out.append(dataOf(stretch, fragment))
    }
    return chunks
  }

  return {
    async write({ bytes, runs }, byMs) {
      for (const run of runs) {
        const index = indexes.get(run.track.id)
        if (index === undefined) continue
        const movedUnits = Math.round((byMs(run.track) * run.track.timescale) / 1000)
        index.add(run, Math.max(0, run.startUnits + movedUnits), await writeRun(run, bytes))
      }
    },
    async finish(chapters) {
      await out.flush()
      const endBytes = out.endBytes()
      const index = (laterBytes: number) =>
        movieIndex(init.bytes, [...indexes.values()], chapters, laterBytes)
      let moov = index(0)
      let free = roomBytes - moov.length
      let laterBytes = 0
      if (free < 0 || (free > 0 && free < HEADER_BYTES)) {
        // Later media may need wider offsets, and so a longer index: as much again is always enough.
        laterBytes = moov.length + INDEX_BYTES_AT_LEAST
        await moveBack(handle, mediaAt, endBytes, laterBytes)
        moov = index(laterBytes)
        free = roomBytes + laterBytes - moov.length
      }
      const mediaBytes = endBytes - mediaAt
      const head = [FILE_TYPE, moov, ...(free > 0 ? [box('free', Buffer.alloc(free - HEADER_BYTES))] : [])]
      await writeAll(handle, Buffer.concat([...head, mediaHeader(mediaBytes)]), 0)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

function mediaHeader(mediaBytes: number): Buffer {
  if (mediaBytes + HEADER_BYTES <= LARGEST_WORD) {
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(mediaBytes + HEADER_BYTES)
    header.write('mdat', 4, 'latin1')
    return Buffer.concat([box('free'), header])
  }
  const header = Buffer.alloc(MEDIA_HEADER_BYTES)
  header.writeUInt32BE(1)
  header.write('mdat', 4, 'latin1')
  header.writeBigUInt64BE(BigInt(mediaBytes + MEDIA_HEADER_BYTES), HEADER_BYTES)
  return header
}

/** Writes behind one another from `atBytes` on, in large pieces. */
function appendTo(handle: FileHandle, atBytes: number) {
  const held = Buffer.alloc(WRITE_BYTES)
  let heldBytes = 0
  let writtenTo = atBytes
  const flush = async () => {
    await writeAll(handle, held.subarray(0, heldBytes), writtenTo)
    writtenTo += heldBytes
    heldBytes = 0
  }
  return {
    endBytes: () => writtenTo + heldBytes,
    flush,
    async append(bytes: Buffer) {
      for (let at = 0; at < bytes.length; ) {
        const copied = bytes.copy(held, heldBytes, at)
        at += copied
        heldBytes += copied
        if (heldBytes === held.length) await flush()
      }
    },
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, atBytes: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, atBytes + done)
    done += bytesWritten
  }
}

/** Moves what stands from `fromBytes` to `toBytes` on by so much, its end first. */
async function moveBack(
  handle: FileHandle,
  fromBytes: number,
  toBytes: number,
  byBytes: number,
): Promise<void> {
  const held = Buffer.alloc(MOVE_BYTES)
  for (let end = toBytes; end > fromBytes; ) {
    const begin = Math.max(fromBytes, end - held.length)
    for (let at = begin; at < end; ) {
      const { bytesRead } = await handle.read(held, at - begin, end - at, at)
      if (bytesRead === 0) throw new Error('the file is shorter than what was written into it')
      at += bytesRead
    }
    await writeAll(handle, held.subarray(0, end - begin), begin + byBytes)
    end = begin
  }
}
