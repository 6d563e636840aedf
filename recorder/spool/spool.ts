import { type Clock, TimedOut, withTimeout } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import type { Log } from '../../log.ts'
import type { Store } from '../../storage/s3.ts'
import type { OpenFragment, Segment } from '../capture/segmenter.ts'
import { keepOpenFiles } from './open-files.ts'
import { keepSegmentBytes } from './segment-bytes.ts'
import { segmentFilesIn } from './segment-files.ts'
import { openSegmentQueue, type QueuedSegment, type SegmentOwner } from './segment-queue.ts'
import { PATIENCE, type Patience, reportTrouble } from './try-again.ts'

export interface SpoolState {
  /** Closed segments without a row. */
  waiting: number
  /** Those of them that are not in the bucket. */
  waitingBytes: number
  /** How many gave up all pictures but their key frames. */
  thinned: number
  /** Had room nowhere: a full disk and full memory. */
  lost: number
  /** Number of the newest segment that has its row; -1 before the first. */
  lastStored: number
  /** How long the oldest one has been waiting; 0 when none does. */
  oldestWaitingMs: number
}

/** The way of one attempt's segments from the capture to the bucket and the database. */
export interface Spool extends AsyncDisposable {
  /** A fragment of the segment that is being recorded, on the disk when this returns. Never throws. */
  fragment(fragment: OpenFragment): void
  /** A closed segment: on the disk and queued. Never waits for the network and never rejects. */
  take(segment: Segment): Promise<void>
  /**
   * Resolves when everything taken is in the bucket and has its row.
   * @throws {TimedOut} after `limitMs`: what is left stays on the disk, and nothing more is tried
   */
  drained(limitMs: number): Promise<void>
  state(): SpoolState
}

interface SpoolDeps {
  db: Database
  store: Store
  /** Of every object's name in the bucket. */
  prefix: string
  /** A folder for this attempt alone; made here. */
  workDir: string
  log: Log
  clock: Clock
  /** More than this waiting on the disk, and the oldest are thinned. */
  boundBytes: number
  patience?: Patience
}

/**
 * Takes segments onto the disk at once and brings them to the bucket and the database in order, however long those are
 * away. Beyond the bound, or with the disk full, the oldest waiting ones keep only their key frames and their whole
 * sound; with no room even so, segments wait in memory (128 MiB). What a killed process leaves is for `takeLeftovers`.
 */
export function openSpool(deps: SpoolDeps, owner: SegmentOwner): Spool {
  const { workDir, log } = deps
  const waiting: QueuedSegment[] = []
  const files = segmentFilesIn(workDir, log)
  const bytes = keepSegmentBytes({ files, log, boundBytes: deps.boundBytes }, waiting)
  const openFiles = keepOpenFiles(workDir)
  const appending = reportTrouble(log, 'the segment that is being recorded cannot be written to the disk')
  let lost = 0
  let lastStored = -1
  const queue = openSegmentQueue(
    {
      ...deps,
      patience: deps.patience ?? PATIENCE,
      bytesOf: bytes.read,
      stored: bytes.forgetBytes,
      async left(segment, how) {
        if (how === 'recorded') lastStored = segment.facts.number
        else loseSegment(segment.facts.number, 'its file is gone or cannot be read')
        await bytes.forget(segment)
      },
    },
    owner,
    waiting,
  )
  try {
    files.ensureFolder()
  } catch (error) {
    // It is tried again with every segment; until it works they wait in memory.
    appending.met(error)
  }

  function loseSegment(segment: number, why: string): void {
    lost++
    log.error({ segment, why }, 'A SEGMENT IS LOST')
  }

  async function take(segment: Segment): Promise<void> {
    const { number, sha256, startMs, durationMs, wallClockStartMs } = segment
    const onDiskBytes = openFiles.close(number)
    if (segment.kind === 'init') await bytes.keepInit(segment.bytes)
    const queued: QueuedSegment = {
      facts: {
        number,
        sha256,
        sizeBytes: segment.bytes.length,
        startMs,
        durationMs,
        wallClockStartMs,
        thinned: false,
      },
      inMemory: undefined,
      state: 'waiting',
      takenAtMs: performance.now(),
      changing: undefined,
      cannotShrink: segment.kind === 'init',
    }
    if (await bytes.place(queued, segment.bytes, onDiskBytes === segment.bytes.length)) {
      queue.add(queued)
      bytes.keepWithinBound()
    } else loseSegment(number, 'the disk and the memory for segments are full')
  }

  async function stop(): Promise<void> {
    await queue.stop()
    openFiles.closeAll()
    await bytes.settle()
    for (const { inMemory, facts } of waiting)
      if (inMemory) loseSegment(facts.number, 'the disk is full and it could not be stored in time')
    files.letFolderGo()
  }
  let stopped: Promise<void> | undefined
  const stopOnce = () => {
    stopped ??= stop()
    return stopped
  }

  return {
    fragment(fragment) {
      try {
        files.ensureFolder()
        openFiles.append(fragment)
        appending.over()
      } catch (error) {
        appending.met(error)
        bytes.makeRoom(fragment.bytes.length)
      }
    },
    take,
    async drained(limitMs) {
      try {
        await withTimeout(queue.empty(), limitMs, 'storing the last segments')
        await bytes.settle()
      } catch (error) {
        if (!(error instanceof TimedOut)) throw error
        log.error(
          { waiting: waiting.length },
          'the last segments could not be stored in time: they stay on this disk',
        )
        await stopOnce()
        throw error
      }
    },
    state: () => ({
      waiting: waiting.length,
      waitingBytes: waiting.reduce(
        (sum, { state, facts }) => sum + (state === 'stored' ? 0 : facts.sizeBytes),
        0,
      ),
      thinned: bytes.thinned(),
      lost,
      lastStored,
      oldestWaitingMs: waiting[0] ? performance.now() - waiting[0].takenAtMs : 0,
    }),
    [Symbol.asyncDispose]: stopOnce,
  }
}
