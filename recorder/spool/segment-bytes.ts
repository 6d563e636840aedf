// Where the bytes of waiting segments are: on the disk, or in memory when it is full; whole, or thinned when too many wait.
import type { Log } from '../../log.ts'
import { thinFragments } from '../capture/edit-fragment.ts'
import { BadFragmentedMp4 } from '../capture/mp4-boxes.ts'
import type { SegmentFiles } from './segment-files.ts'
import type { QueuedSegment } from './segment-queue.ts'
import { reportTrouble } from './try-again.ts'
import { isNoRoom, sha256Of } from './work-folder.ts'

const MOST_IN_MEMORY_BYTES = 128 * 1024 * 1024
/** Beyond the bound as much is thinned as brings what waits down to this part of it. */
const THIN_TO = 0.8
/** What a full disk is thinned for: the next segments too, not only this one. */
const ROOM_SEGMENTS = 4

/** None of it rejects: what the disk refuses is said in the log, and done without it. */
export interface SegmentBytes {
  keepInit(bytes: Buffer): Promise<void>
  /**
   * Puts the bytes of a closed segment where there is room.
   * @param isOpenFile they are already on the disk, as the file of the segment being recorded
   * @returns false when there is no room even in memory: this segment is lost
   */
  place(segment: QueuedSegment, bytes: Buffer, isOpenFile: boolean): Promise<boolean>
  /** Thins the oldest, for `sizeBytes` and some more to fit on a full disk. Goes on by itself. */
  makeRoom(sizeBytes: number): void
  /** Thins the oldest of those that wait on the disk when they are more than the bound. Goes on by itself. */
  keepWithinBound(): void
  /** `undefined` when nothing of it can be used. The one that rejects, with what the disk says. */
  read(segment: QueuedSegment): Promise<Buffer | undefined>
  /** The bytes are in the bucket: only what the row needs stays. */
  forgetBytes(segment: QueuedSegment): Promise<void>
  forget(segment: QueuedSegment): Promise<void>
  /** Brings to the disk what is in memory, as far as there is room; resolves when all file work is done. */
  settle(): Promise<void>
  /** How many segments were thinned. */
  thinned(): number
}

/** @param waiting the queue; only read here, its segments are changed */
export function keepSegmentBytes(
  { files, log, boundBytes }: { files: SegmentFiles; log: Log; boundBytes: number },
  waiting: readonly QueuedSegment[],
): SegmentBytes {
  const trouble = reportTrouble(log, 'segments cannot be written to the disk')
  let init: Buffer | undefined
  let thinnedCount = 0
  let thinning = false
  // Files are changed one thing after another.
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }
  async function works(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      trouble.met(error)
      return false
    }
  }

  const onDisk = (segment: QueuedSegment) => segment.inMemory === undefined
  const inMemory = (segment: QueuedSegment) => segment.inMemory !== undefined
  // One that is being uploaded may already have arrived as it is, although nobody said so.
  const thinnable = (where: (segment: QueuedSegment) => boolean) =>
    waiting.find(segment => segment.state === 'waiting' && !segment.cannotShrink && where(segment))
  const heldBytes = (where: (segment: QueuedSegment) => boolean) =>
    waiting
      .filter(segment => segment.state !== 'stored' && where(segment))
      .reduce((bytes, { facts }) => bytes + facts.sizeBytes, 0)

  /** @returns how many bytes fewer it has */
  async function thin(segment: QueuedSegment): Promise<number> {
    const done = Promise.withResolvers<void>()
    segment.changing = done.promise
    segment.cannotShrink = true
    try {
      const bytes = segment.inMemory ?? (await readFile(segment))
      const thinned = bytes && makeThin(bytes)
      if (!thinned) return 0
      const before = segment.facts
      segment.facts = { ...before, sha256: sha256Of(thinned), sizeBytes: thinned.length, thinned: true }
      thinnedCount++
      if (segment.inMemory) segment.inMemory = thinned
      else if (!(await works(() => files.replace(before, segment.facts, thinned)))) {
        // Not even room for the smaller one beside the larger: the larger makes it.
        segment.inMemory = thinned
        await works(() => files.remove(before.number))
        await toDisk(segment)
      }
      return before.sizeBytes - thinned.length
    } finally {
      segment.changing = undefined
      done.resolve()
    }
  }

  function makeThin(bytes: Buffer): Buffer | undefined {
    if (!init) return undefined
    try {
      const thinned = thinFragments(bytes, init)
      return thinned.length > 0 && thinned.length < bytes.length ? thinned : undefined
    } catch (error) {
      if (!(error instanceof BadFragmentedMp4)) throw error
      log.warn({ error }, 'a waiting segment cannot be thinned')
      return undefined
    }
  }

  async function thinForRoom(sizeBytes: number): Promise<void> {
    let freedBytes = 0
    for (
      let next = thinnable(onDisk);
      next && freedBytes < sizeBytes * ROOM_SEGMENTS;
      next = thinnable(onDisk)
    )
      freedBytes += await thin(next)
  }

  /** A folder that is gone is made again, a full disk is thinned; then once more. */
  async function write(segment: QueuedSegment, bytes: Buffer): Promise<boolean> {
    try {
      await files.write(segment.facts, bytes)
      return true
    } catch (error) {
      trouble.met(error)
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') files.letFolderGo()
      else if (isNoRoom(error)) await thinForRoom(bytes.length)
      else return false
      return works(() => files.write(segment.facts, bytes))
    }
  }

  async function toDisk(segment: QueuedSegment): Promise<boolean> {
    const bytes = segment.inMemory
    if (!bytes || segment.state === 'stored') return true
    if (!(await works(() => files.write(segment.facts, bytes)))) return false
    segment.inMemory = undefined
    return true
  }

  async function memoryToDisk(): Promise<void> {
    for (const segment of waiting.filter(inMemory)) if (!(await toDisk(segment))) return
  }

  async function toMemory(segment: QueuedSegment, bytes: Buffer): Promise<boolean> {
    const isFull = () => heldBytes(inMemory) + bytes.length > MOST_IN_MEMORY_BYTES
    for (let next = thinnable(inMemory); next && isFull(); next = thinnable(inMemory)) await thin(next)
    if (isFull()) return false
    segment.inMemory = bytes
    return true
  }

  async function readFile(segment: QueuedSegment): Promise<Buffer | undefined> {
    const found = await files.read(segment.facts.number, init)
    if (found) segment.facts = found.facts
    return found?.bytes
  }

  async function thinToBound(): Promise<void> {
    for (let next = thinnable(onDisk); next; next = thinnable(onDisk)) {
      if (heldBytes(onDisk) <= boundBytes * THIN_TO) return
      const segment = next
      await inTurn(async () => {
        if (segment.state === 'waiting') await thin(segment)
      })
    }
  }

  return {
    async keepInit(bytes) {
      init = bytes
      await inTurn(() => works(() => files.writeInit(bytes)))
    },
    place: (segment, bytes, isOpenFile) =>
      inTurn(async () => {
        const adopted = isOpenFile && (await works(() => files.adopt(segment.facts)))
        if (!adopted && !(await write(segment, bytes))) return await toMemory(segment, bytes)
        trouble.over()
        await memoryToDisk()
        return true
      }),
    makeRoom(sizeBytes) {
      void inTurn(() => works(() => thinForRoom(sizeBytes)))
    },
    keepWithinBound() {
      if (thinning || heldBytes(onDisk) <= boundBytes) return
      thinning = true
      void works(thinToBound).then(() => {
        thinning = false
      })
    },
    read: segment => (segment.inMemory ? Promise.resolve(segment.inMemory) : inTurn(() => readFile(segment))),
    async forgetBytes(segment) {
      segment.inMemory = undefined
      // Where the disk has no room for this the bytes stay until the row is written.
      await inTurn(() => works(() => files.keepFactsOnly(segment.facts)))
    },
    async forget(segment) {
      await inTurn(() => works(() => files.remove(segment.facts.number)))
    },
    async settle() {
      await inTurn(memoryToDisk)
    },
    thinned: () => thinnedCount,
  }
}
