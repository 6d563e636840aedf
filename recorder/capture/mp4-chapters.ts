// Chapters of a finished MP4, written into room that was kept for them: nothing moves, nothing is copied.
import { open } from 'node:fs/promises'
import { findBoxes, HEADER_BYTES } from './mp4-boxes.ts'
import { listTopLevelBoxes } from './mp4-layout.ts'

const MOST_CHAPTERS = 255
const MOST_TITLE_BYTES = 255
const CHAPTER_HEAD_BYTES = 9
const LIST_HEAD_BYTES = HEADER_BYTES + 9
const LARGEST_MOOV_BYTES = 512 * 1024 * 1024

/** A chapter lasts until the next one begins. */
export interface Chapter {
  /** Time in the finished file. */
  startMs: number
  title: string
}

/**
 * ffmpeg's output options that keep room for so many chapters: a comment, which `writeChapters` replaces. ffmpeg
 * itself wants to know the chapters before the first byte, where their times are not known yet.
 */
export function keepRoomForChapters(count: number): string[] {
  const roomBytes = LIST_HEAD_BYTES + Math.min(count, MOST_CHAPTERS) * (CHAPTER_HEAD_BYTES + MOST_TITLE_BYTES)
  return ['-metadata', `comment=${'.'.repeat(roomBytes)}`]
}

/**
 * Writes the chapters into a file made with `keepRoomForChapters` (the `chpl` box, which VLC, mpv and ffmpeg read). Of
 * more than 255 the first 255 are kept; long titles are cut off. Throws when the room is missing or too small.
 */
export async function writeChapters(file: string, chapters: readonly Chapter[]): Promise<void> {
  const moov = (await listTopLevelBoxes(file)).find(({ type }) => type === 'moov')
  if (moov === undefined || moov.sizeBytes > LARGEST_MOOV_BYTES) {
    throw new Error('there is no index to write the chapters into')
  }
  await using handle = await open(file, 'r+')
  const bytes = Buffer.alloc(moov.sizeBytes)
  await handle.read(bytes, 0, bytes.length, moov.startBytes)
  const room = findBoxes(bytes.subarray(HEADER_BYTES), 'udta', 'meta')[0]
  const list = chapterList(chapters.slice(0, MOST_CHAPTERS))
  const freeBytes = (room?.length ?? 0) + HEADER_BYTES - list.length
  if (room === undefined || freeBytes < HEADER_BYTES) {
    throw new Error(`there is no room for ${chapters.length} chapters in the index`)
  }
  const free = Buffer.alloc(freeBytes)
  free.writeUInt32BE(freeBytes)
  free.write('free', 4, 'latin1')
  const at = room.byteOffset - bytes.byteOffset - HEADER_BYTES
  await handle.write(Buffer.concat([list, free]), 0, list.length + freeBytes, moov.startBytes + at)
}

/** Nero's chapter list, as ffmpeg's own muxer writes it: times in units of 100 ns. */
function chapterList(chapters: readonly Chapter[]): Buffer {
  const entries = chapters.map(({ startMs, title }) => {
    const text = cutText(title)
    const entry = Buffer.alloc(CHAPTER_HEAD_BYTES)
    entry.writeBigUInt64BE(BigInt(Math.max(0, Math.round(startMs * 10_000))))
    entry.writeUInt8(text.length, 8)
    return Buffer.concat([entry, text])
  })
  const head = Buffer.alloc(LIST_HEAD_BYTES)
  head.writeUInt32BE(LIST_HEAD_BYTES + entries.reduce((sum, { length }) => sum + length, 0))
  head.write('chpl', 4, 'latin1')
  head.writeUInt8(1, 8)
  head.writeUInt8(chapters.length, 16)
  return Buffer.concat([head, ...entries])
}

/** At most 255 bytes of UTF-8, no character in halves. */
function cutText(text: string): Buffer {
  let bytes = Buffer.from(text)
  for (let length = text.length; bytes.length > MOST_TITLE_BYTES; ) {
    length -= Math.max(1, Math.ceil((bytes.length - MOST_TITLE_BYTES) / 4))
    bytes = Buffer.from(text.slice(0, length).toWellFormed())
  }
  return bytes
}
