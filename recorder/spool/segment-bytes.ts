// Where the bytes of waiting segments are: on the disk, or in memory when it is full; whole, or thinned when too many wait.
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Log } from '../../log.ts'
import { thinFragments } from '../capture/edit-fragment.ts'
import { BadFragmentedMp4 } from '../capture/mp4-boxes.ts'
import { type Hold, hold } from './folder-holder.ts'
import { recoverSegment } from './recover-segment.ts'
import type { QueuedSegment } from './segment-queue.ts'
import { reportTrouble } from './try-again.ts'
import {
  initPath,
  isNoRoom,
  openPath,
  ownerPath,
  partPath,
  removeSegment,
  sha256Of,
  writeFacts,
  writeWhole,
} from './work-folder.ts'

const MOST_IN_MEMORY_BYTES = 128 * 1024 * 1024
/** Beyond the bound as much is thinned as brings what waits down to this part of it. */
const THIN_TO = 0.8
/** What a full disk is thinned for: the next segments too, not only this one. */
const ROOM_SEGMENTS = 4

export interface SegmentBytes {
  /** Makes the folder and holds it; again when it is gone. Throws what the disk says. */
  ensureFolder(): void
  keepInit(bytes: Buffer): Promise<void>
  /**
   * Puts the bytes of a closed segment where there is room. `adopt` brings them about without writing them anew.
   * @returns false when there is none even in memory: this segment is lost
   */
  place(segment: QueuedSegment, bytes: Buffer, adopt?: () => Promise<void>): Promise<boolean>
  /** Thins the oldest, for `sizeBytes` and some more to fit on a full disk. Goes on by itself. */
  makeRoom(sizeBytes: number): void
  read(segment: QueuedSegment): Promise<Buffer | undefined>
  /** The bytes are in the bucket: only what the row needs stays. */
  forgetBytes(segment: QueuedSegment): Promise<void>
  forget(segment: QueuedSegment): Promise<void>
  /** Thins the oldest of those that wait when they are more than the bound. Goes on by itself. */
  keepWithinBound(): void
  /** Brings to the disk what is in memory, as far as there is room; resolves when all file work is done. */
  settle(): Promise<void>
  thinned(): number
  /** Nothing here holds the folder any more. */
  release(): void
}

/** @param waiting the queue: read here, never changed */
export function keepSegmentBytes(
  { dir, log, boundBytes }: { dir: string; log: Log; boundBytes: number },
  waiting: readonly QueuedSegment[],
): SegmentBytes {
  const diskTrouble = reportTrouble(log, 'segments cannot be written to the disk')
  let holding: Hold | undefined
  let init: Buffer | undefined
  let thinnedCount = 0
  let thinning = false
  // What the files of the folder are changed by, one thing after another.
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }

  function ensureFolder(): void {
    if (holding) return
    mkdirSync(dir, { recursive: true })
    holding = hold(ownerPath(dir))
  }

  async function write(segment: QueuedSegment, bytes: Buffer): Promise<void> {
    ensureFolder()
    await writeFacts(dir, segment.facts)
    await writeWhole(partPath(dir, segment.facts.number), bytes)
    await rm(openPath(dir, segment.facts.number), { force: true })
  }

  /** Tries to write; a folder that is gone is made again, a full disk is thinned once. */
  async function writeSomehow(segment: QueuedSegment, bytes: Buffer): Promise<boolean> {
    for (const last of [false, true]) {
      try {
        await write(segment, bytes)
        return true
      } catch (error) {
        diskTrouble.met(error)
        if (last) break
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') loseFolder()
        else if (!isNoRoom(error)) break
        else await thinUntil(bytes.length * ROOM_SEGMENTS)
      }
    }
    return false
  }

  async function works(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      diskTrouble.met(error)
      return false
    }
  }

  function loseFolder(): void {
    holding?.release()
    holding = undefined
  }

  async function thinUntil(freeBytes: number): Promise<void> {
    let freed = 0
    for (let next = thinnable(onDisk); next && freed < freeBytes; next = thinnable(onDisk))
      freed += await thin(next)
  }

  const onDisk = (segment: QueuedSegment) => segment.inMemory === undefined
  // One that is being uploaded may already have arrived as it is, although nobody said so.
  const thinnable = (also: (segment: QueuedSegment) => boolean) =>
    waiting.find(
      segment =>
        segment.state === 'waiting' && !segment.cannotShrink && segment.facts.number > 0 && also(segment),
    )

  /** @returns how many bytes fewer it has */
  async function thin(segment: QueuedSegment): Promise<number> {
    const done = Promise.withResolvers<void>()
    segment.changing = done.promise
    try {
      const bytes = segment.inMemory ?? (await readFromDisk(segment))
      const before = segment.facts
      const thin = bytes && makeThin(bytes)
      segment.cannotShrink = true
      if (!thin) return 0
      segment.facts = { ...before, sha256: sha256Of(thin), sizeBytes: thin.length, thinned: true }
      thinnedCount++
      if (segment.inMemory) segment.inMemory = thin
      else await replaceOnDisk(segment, before, thin)
      return before.sizeBytes - thin.length
    } finally {
      segment.changing = undefined
      done.resolve()
    }
  }

  function makeThin(bytes: Buffer): Buffer | undefined {
    if (!init) return undefined
    try {
      const thin = thinFragments(bytes, init)
      return thin.length > 0 && thin.length < bytes.length ? thin : undefined
    } catch (error) {
      if (!(error instanceof BadFragmentedMp4)) throw error
      log.warn({ error }, 'a waiting segment cannot be thinned')
      return undefined
    }
  }

  async function replaceOnDisk(
    segment: QueuedSegment,
    before: QueuedSegment['facts'],
    bytes: Buffer,
  ): Promise<void> {
    const { number } = segment.facts
    try {
      // Killed in between, the SHA-256 tells which of the two the bytes are.
      await writeFacts(dir, segment.facts, before)
      await writeWhole(partPath(dir, number), bytes)
    } catch (error) {
      diskTrouble.met(error)
      // Not even room for the smaller one beside the larger: the larger makes it.
      segment.inMemory = bytes
      await removeSegment(dir, number).catch(diskTrouble.met)
      await toDisk(segment)
    }
  }

  /** From memory to the disk, where there is room. */
  async function toDisk(segment: QueuedSegment): Promise<boolean> {
    const bytes = segment.inMemory
    if (!bytes || segment.state === 'stored') return true
    try {
      await write(segment, bytes)
      segment.inMemory = undefined
      return true
    } catch (error) {
      diskTrouble.met(error)
      return false
    }
  }

  async function memoryToDisk(): Promise<void> {
    for (const segment of waiting) if (segment.inMemory && !(await toDisk(segment))) return
  }

  const memoryBytes = () => waiting.reduce((sum, { inMemory }) => sum + (inMemory?.length ?? 0), 0)

  async function toMemory(segment: QueuedSegment, bytes: Buffer): Promise<boolean> {
    const room = MOST_IN_MEMORY_BYTES - bytes.length
    const inMemory = (other: QueuedSegment) => other.inMemory !== undefined
    for (let next = thinnable(inMemory); next && memoryBytes() > room; next = thinnable(inMemory))
      await thin(next)
    if (memoryBytes() > room) return false
    segment.inMemory = bytes
    return true
  }

  async function readFromDisk(segment: QueuedSegment): Promise<Buffer | undefined> {
    const found = await recoverSegment(dir, segment.facts.number, init)
    if (found.kind === 'whole' || found.kind === 'mended') {
      if (found.facts.sha256 !== segment.facts.sha256)
        log.error(
          { segment: segment.facts.number },
          'a segment on the disk was damaged: what is whole of it is used',
        )
      segment.facts = found.facts
      return found.bytes
    }
    return undefined
  }

  return {
    ensureFolder,
    async keepInit(bytes) {
      init = bytes
      await inTurn(async () => {
        ensureFolder()
        await writeWhole(initPath(dir), bytes)
      }).catch(diskTrouble.met)
    },
    place: (segment, bytes, adopt) =>
      inTurn(async () => {
        const isOnDisk = (adopt && (await works(adopt))) || (await writeSomehow(segment, bytes))
        if (!isOnDisk) return await toMemory(segment, bytes)
        diskTrouble.over()
        await memoryToDisk()
        return true
      }),
    makeRoom(bytes) {
      void inTurn(() => thinUntil(bytes * ROOM_SEGMENTS)).catch(diskTrouble.met)
    },
    read: segment =>
      segment.inMemory ? Promise.resolve(segment.inMemory) : inTurn(() => readFromDisk(segment)),
    forgetBytes: segment =>
      inTurn(async () => {
        const { number } = segment.facts
        segment.inMemory = undefined
        try {
          await writeFacts(dir, segment.facts)
          for (const path of [partPath(dir, number), openPath(dir, number)]) await rm(path, { force: true })
        } catch (error) {
          // The bytes then stay beside it until the row is written.
          diskTrouble.met(error)
        }
      }),
    forget: segment => inTurn(() => removeSegment(dir, segment.facts.number)).catch(diskTrouble.met),
    keepWithinBound() {
      const held = () => sum(waiting.filter(segment => segment.state !== 'stored' && onDisk(segment)))
      if (thinning || held() <= boundBytes) return
      thinning = true
      void (async () => {
        for (let next = thinnable(onDisk); next && held() > boundBytes * THIN_TO; next = thinnable(onDisk)) {
          const segment = next
          await inTurn(async () => {
            if (segment.state === 'waiting') await thin(segment)
          })
        }
      })()
        .catch(diskTrouble.met)
        .finally(() => {
          thinning = false
        })
    },
    async settle() {
      await inTurn(memoryToDisk)
      await turn
    },
    thinned: () => thinnedCount,
    release: loseFolder,
  }
}

const sum = (segments: readonly QueuedSegment[]) =>
  segments.reduce((bytes, { facts }) => bytes + facts.sizeBytes, 0)
