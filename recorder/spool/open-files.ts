import { closeSync, fstatSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs'
import type { OpenFragment } from '../capture/segmenter.ts'
import { factsPath, initPath, openPath, type SegmentFacts } from './work-folder.ts'

/** Segments that are still being recorded, on the disk up to the last fragment. */
export interface OpenFiles {
  /** Appends at once. Throws what the disk says, once for each segment: the rest of that segment is then left out. */
  append(fragment: OpenFragment): void
  /** The segment is over. @returns bytes of it on the disk; undefined when they are not all there */
  close(segment: number): number | undefined
  closeAll(): void
}

/** Nothing is kept open but the files of segments that are being recorded: one or two. */
export function keepOpenFiles(dir: string): OpenFiles {
  const open = new Map<number, { fd: number; bytes: number } | 'given up'>()

  function begin({ segment, startMs, wallClockStartMs, bytes }: OpenFragment): { fd: number; bytes: number } {
    const facts: SegmentFacts = {
      number: segment,
      sha256: '',
      sizeBytes: 0,
      startMs,
      durationMs: 0,
      wallClockStartMs,
      thinned: false,
    }
    writeFileSync(factsPath(dir, segment), JSON.stringify([facts]))
    if (segment === 0) writeFileSync(initPath(dir), bytes)
    return { fd: openSync(openPath(dir, segment), 'w'), bytes: 0 }
  }

  function finish(segment: number): number | undefined {
    const file = open.get(segment)
    open.delete(segment)
    if (file === undefined || file === 'given up') return undefined
    closeSync(file.fd)
    return file.bytes
  }

  return {
    append(fragment) {
      const { segment, bytes } = fragment
      if (open.get(segment) === 'given up') return
      try {
        const file = (open.get(segment) as { fd: number; bytes: number } | undefined) ?? begin(fragment)
        open.set(segment, file)
        for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at)
        file.bytes += bytes.length
      } catch (error) {
        const file = open.get(segment)
        open.set(segment, 'given up')
        // Half a fragment is of no use, and takes room.
        if (file !== undefined && file !== 'given up') cutBack(file)
        throw error
      }
    },
    close: finish,
    closeAll() {
      for (const segment of [...open.keys()]) finish(segment)
    },
  }
}

function cutBack({ fd, bytes }: { fd: number; bytes: number }): void {
  try {
    if (fstatSync(fd).size > bytes) ftruncateSync(fd, bytes)
  } finally {
    closeSync(fd)
  }
}
