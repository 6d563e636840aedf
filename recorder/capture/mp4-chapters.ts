// Chapters of a finished MP4: the `chpl` box, which VLC, mpv and ffmpeg read.
import { box } from './write-box.ts'

const MOST_CHAPTERS = 255
const MOST_TITLE_BYTES = 255
const CHAPTER_HEAD_BYTES = 9
const LIST_HEAD_BYTES = 9

/** A chapter lasts until the next one begins. */
export interface Chapter {
  /** Time in the finished file. */
  startMs: number
  title: string
}

/**
 * Nero's chapter list, as ffmpeg's own muxer writes it: times in units of 100 ns. Of more than 255 chapters the first 255
 * are kept; long titles are cut off.
 */
export function chapterList(chapters: readonly Chapter[]): Buffer {
  const kept = chapters.slice(0, MOST_CHAPTERS)
  const entries = kept.map(({ startMs, title }) => {
    const text = cutText(title)
    const entry = Buffer.alloc(CHAPTER_HEAD_BYTES)
    entry.writeBigUInt64BE(BigInt(Math.max(0, Math.round(startMs * 10_000))))
    entry.writeUInt8(text.length, 8)
    return Buffer.concat([entry, text])
  })
  const head = Buffer.alloc(LIST_HEAD_BYTES)
  head.writeUInt8(1)
  head.writeUInt8(kept.length, 8)
  return box('chpl', head, ...entries)
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
