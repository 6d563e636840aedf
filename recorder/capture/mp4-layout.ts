// What stands where in an MP4 file: its top-level boxes, read from the file itself (ISO/IEC 14496-12 §4.2).
import { open } from 'node:fs/promises'

const MAX_BOXES = 100_000

export interface TopLevelBox {
  type: string
  startBytes: number
  sizeBytes: number
}

/**
 * The top-level boxes in order; only their headers are read. A file that is cut off ends the list with a box that
 * reaches past its end; a file that is no MP4 gives an empty list.
 */
export async function listTopLevelBoxes(file: string): Promise<TopLevelBox[]> {
  await using handle = await open(file, 'r')
  const { size: fileBytes } = await handle.stat()
  const header = Buffer.alloc(16)
  const boxes: TopLevelBox[] = []
  for (let at = 0; at + 8 <= fileBytes && boxes.length < MAX_BOXES; ) {
    const { bytesRead } = await handle.read(header, 0, 16, at)
    const type = header.toString('latin1', 4, 8)
    const small = header.readUInt32BE(0)
    const sizeBytes =
      small === 1 && bytesRead === 16
        ? Number(header.readBigUInt64BE(8))
        : small === 0
          ? fileBytes - at
          : small
    if (sizeBytes < 8 || !/^[\x20-\x7e]{4}$/.test(type)) break
    boxes.push({ type, startBytes: at, sizeBytes })
    at += sizeBytes
  }
  return boxes
}

/** Whether a player can begin before the whole file is there: the index (`moov`) stands before the media (`mdat`). */
export function isMoovFirst(boxes: readonly TopLevelBox[]): boolean {
  const moovAt = boxes.findIndex(({ type }) => type === 'moov')
  const mdatAt = boxes.findIndex(({ type }) => type === 'mdat')
  return moovAt !== -1 && (mdatAt === -1 || moovAt < mdatAt)
}
