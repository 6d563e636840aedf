// The files of one attempt's waiting segments. Nothing here is done twice at the same time: the caller sees to that.
import { mkdirSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { Log } from '../../log.ts'
import { type Hold, hold } from './folder-holder.ts'
import { recoverSegment } from './recover-segment.ts'
import {
  initPath,
  openPath,
  ownerPath,
  partPath,
  removeSegment,
  type SegmentFacts,
  writeFacts,
  writeWhole,
} from './work-folder.ts'

/** All of it throws what the disk says. */
export interface SegmentFiles {
  /** Makes the folder and holds it, where that is not done yet. */
  ensureFolder(): void
  /** The folder is not there any more, or nobody here holds it any longer. Never throws. */
  letFolderGo(): void
  writeInit(bytes: Buffer): Promise<void>
  write(facts: SegmentFacts, bytes: Buffer): Promise<void>
  /** Makes the file that was written while the segment was being recorded its closed one. */
  adopt(facts: SegmentFacts): Promise<void>
  /** Puts other bytes in the place of those that are there; killed in between it is one or the other. */
  replace(before: SegmentFacts, facts: SegmentFacts, bytes: Buffer): Promise<void>
  /** What is there, and what it is; `undefined` when nothing of it can be used. */
  read(number: number, init: Buffer | undefined): Promise<{ facts: SegmentFacts; bytes: Buffer } | undefined>
  /** The bytes are in the bucket: only what its row needs stays. */
  keepFactsOnly(facts: SegmentFacts): Promise<void>
  remove(number: number): Promise<void>
}

/** Nothing is made before the first call. */
export function segmentFilesIn(dir: string, log: Log): SegmentFiles {
  let holding: Hold | undefined
  function ensureFolder(): void {
    if (holding) return
    mkdirSync(dir, { recursive: true })
    holding = hold(ownerPath(dir))
  }
  return {
    ensureFolder,
    letFolderGo() {
      holding?.release()
      holding = undefined
    },
    async writeInit(bytes) {
      ensureFolder()
      await writeWhole(initPath(dir), bytes)
    },
    async write(facts, bytes) {
      ensureFolder()
      await writeFacts(dir, facts)
      await writeWhole(partPath(dir, facts.number), bytes)
      await rm(openPath(dir, facts.number), { force: true })
    },
    async adopt(facts) {
      await writeFacts(dir, facts)
      await rename(openPath(dir, facts.number), partPath(dir, facts.number))
    },
    async replace(before, facts, bytes) {
      // The SHA-256 tells which of the two the bytes are.
      await writeFacts(dir, facts, before)
      await writeWhole(partPath(dir, facts.number), bytes)
    },
    async read(number, init) {
      const found = await recoverSegment(dir, number, init)
      if (found.kind === 'mended')
        log.error({ segment: number }, 'a segment on the disk was damaged: what is whole of it is used')
      return found.kind === 'whole' || found.kind === 'mended' ? found : undefined
    },
    async keepFactsOnly(facts) {
      await writeFacts(dir, facts)
      for (const path of [partPath(dir, facts.number), openPath(dir, facts.number)])
        await rm(path, { force: true })
    },
    remove: number => removeSegment(dir, number),
  }
}
