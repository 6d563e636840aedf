import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { eq } from 'drizzle-orm'
import { type Clock, withTimeout } from '../../clock.ts'
import type { Attempt } from '../../db/attempts.ts'
import type { Database } from '../../db/connect.ts'
import type { OpenJobs } from '../../db/jobs.ts'
import { attempts, segments } from '../../db/schema.ts'
import type { Log } from '../../log.ts'
import { segmentKey } from '../../storage/object-names.ts'
import type { Store } from '../../storage/s3.ts'
import { type Hold, holderOf, isHolderGone, tryHold } from './folder-holder.ts'
import { addLateSegments } from './late-segments.ts'
import { recoverSegment } from './recover-segment.ts'
import { putSegment, rowOf, type SegmentOwner } from './segment-queue.ts'
import { PATIENCE, type Patience, reportTrouble, tryAgain } from './try-again.ts'
import {
  initPath,
  isNoRoom,
  listSegmentNumbers,
  openPath,
  ownerPath,
  partPath,
  readFacts,
  readIfThere,
  type SegmentFacts,
  takerPath,
  writeFacts,
} from './work-folder.ts'

interface LeftoverDeps {
  db: Database
  store: Store
  prefix: string
  /** The folder of the work folders, each named by its attempt's id. */
  workRoot: string
  log: Log
  clock: Clock
  jobs: OpenJobs
  /** Owners whose end somebody else is still seeing to. */
  isOwnChild?(pid: number): boolean
  signal?: AbortSignal
  patience?: Patience
  /** How long the bucket and the database are tried for one folder; what is left is for the next call. */
  folderLimitMs?: number
}

/** What was found of processes that are gone. */
export interface TakenLeftovers {
  /** Work folders that are no longer there. */
  folders: number
  /** Segments that had no row before. */
  segments: number
}

const FOLDER_LIMIT_MS = 300_000
const UPLOADS_AT_ONCE = 3
const ATTEMPT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Said once: folders that are looked at again and again. */
const spokenOf = new Set<string>()

/**
 * Brings to the bucket and the database what processes left on this disk that died before they could: closed segments,
 * and of the one being recorded all whole fragments. A recording that was already final is finished anew. Folders whose
 * owner lives are not touched; call it again and again (a dead owner in another container is only known by its silence).
 * Whatever happens to one folder, the others are looked at; a folder that could not be done is left for the next call.
 */
export async function takeLeftovers(deps: LeftoverDeps): Promise<TakenLeftovers> {
  const taken: TakenLeftovers = { folders: 0, segments: 0 }
  for (const attemptId of await listFolders(deps.workRoot)) {
    if (deps.signal?.aborted) break
    const log = deps.log.child({ attempt: attemptId })
    try {
      const added = await takeFolder({ ...deps, log }, attemptId)
      if (added === undefined) continue
      taken.folders++
      taken.segments += added
    } catch (error) {
      log.warn({ error }, 'what a dead recording left could not be stored yet')
    }
  }
  return taken
}

/** @returns how many segments got a row; undefined when the folder stays */
async function takeFolder(deps: LeftoverDeps, attemptId: string): Promise<number | undefined> {
  const { db, workRoot, log, patience = PATIENCE } = deps
  const dir = join(workRoot, attemptId)
  if (!(await isHolderGone(ownerPath(dir)))) return undefined
  const owner = await holderOf(ownerPath(dir))
  if (owner?.here && deps.isOwnChild?.(owner.pid)) return undefined
  const numbers = await listSegmentNumbers(dir)
  const [attempt] = await withTimeout(
    db.select().from(attempts).where(eq(attempts.id, attemptId)).execute(),
    patience.rowTryMs,
    'reading the attempt of a work folder',
  )
  if (numbers.length > 0 && !attempt) {
    once(dir, () =>
      log.warn({ dir }, 'segments of an attempt that this database does not know stay on the disk'),
    )
    return undefined
  }
  // Without a word of its owner only the rows can tell that nobody uses the folder.
  if (owner === undefined && attempt?.endedAt == null) return undefined
  const taking = await holdToTake(dir)
  if (taking === undefined) return undefined
  try {
    const added = attempt && numbers.length > 0 ? await storeSegments(deps, attempt, dir, numbers) : 0
    if (added === 'unreadable') return undefined
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
    if (added > 0) log.warn({ segments: added }, 'segments of a recording that had died are stored')
    return added
  } finally {
    taking.release()
  }
}

// On a full disk no lock can be written. Two who take the same folder do the same twice, which changes nothing.
async function holdToTake(dir: string): Promise<Hold | undefined> {
  try {
    return await tryHold(takerPath(dir))
  } catch (error) {
    if (isNoRoom(error)) return { release: () => undefined }
    throw error
  }
}

async function storeSegments(
  deps: LeftoverDeps,
  attempt: Attempt,
  dir: string,
  numbers: number[],
): Promise<number | 'unreadable'> {
  const { db, store, clock, log, prefix, patience = PATIENCE } = deps
  const owner: SegmentOwner = {
    organizationId: attempt.organizationId,
    recordingId: attempt.recordingId,
    attemptId: attempt.id,
    attemptNumber: attempt.number,
  }
  const limit = AbortSignal.timeout(deps.folderLimitMs ?? FOLDER_LIMIT_MS)
  const signal = deps.signal ? AbortSignal.any([limit, deps.signal]) : limit
  const until = (what: string) => ({ patience, clock, signal, trouble: reportTrouble(log, what) })
  const storing = until('segments of a dead recording cannot be stored')
  const init = await tryAgain(() => findInit(deps, owner, dir, numbers), storing)
  const startedAtMs = await findStart(db, attempt.id, dir, numbers)

  const storeOne = async (number: number): Promise<SegmentFacts | undefined> => {
    const found = await recoverSegment(dir, number, init, startedAtMs)
    if (found.kind === 'stored') return found.facts
    if (found.kind === 'nothing') {
      log.warn({ segment: number }, 'nothing of a segment that was left on the disk can be used')
      return undefined
    }
    await tryAgain(
      () => putSegment({ store, prefix, patience, signal }, owner, found.facts, found.bytes),
      storing,
    )
    const facts = { ...found.facts, storedAtMs: clock.now() }
    await noteStored(dir, facts)
    return facts
  }
  const stored: SegmentFacts[] = []
  for (let at = 0; at < numbers.length; at += UPLOADS_AT_ONCE) {
    const some = await Promise.all(numbers.slice(at, at + UPLOADS_AT_ONCE).map(storeOne))
    stored.push(...some.filter(facts => facts !== undefined))
  }
  const added = await tryAgain(() => {
    const rows = stored.map(facts => rowOf(owner, prefix, facts))
    const adding = db.transaction(tx => addLateSegments(tx, deps.jobs, owner, rows))
    return withTimeout(adding, patience.rowTryMs, 'writing the rows of segments')
  }, until('rows of segments of a dead recording cannot be written'))
  if (init === undefined && stored.length < numbers.length) {
    once(dir, () =>
      log.error({ dir }, 'segments that cannot be read without their init piece stay on the disk'),
    )
    return 'unreadable'
  }
  return added
}

/** The bytes need no room any more; on a full disk this may fail, and they are stored once more next time. */
async function noteStored(dir: string, facts: SegmentFacts): Promise<void> {
  try {
    await writeFacts(dir, facts)
  } catch (error) {
    if (isNoRoom(error)) return
    throw error
  }
  for (const path of [partPath(dir, facts.number), openPath(dir, facts.number)])
    await rm(path, { force: true })
}

async function findInit(
  { store, prefix }: LeftoverDeps,
  { organizationId, recordingId, attemptNumber }: SegmentOwner,
  dir: string,
  numbers: number[],
): Promise<Buffer | undefined> {
  const here = (await readIfThere(initPath(dir))) ?? (await readIfThere(partPath(dir, 0)))
  if (here !== undefined || !numbers.some(number => number > 0)) return here
  const key = segmentKey({ prefix, organizationId, recordingId, attempt: attemptNumber, number: 0 })
  return (await store.head(key)) && buffer(await store.get(key))
}

/** Wall clock of the attempt's media time 0, which any of its segments tells. */
async function findStart(
  db: Database,
  attemptId: string,
  dir: string,
  numbers: number[],
): Promise<number | undefined> {
  for (const number of numbers) {
    const [facts] = await readFacts(dir, number)
    if (facts) return facts.wallClockStartMs - facts.startMs
  }
  const [row] = await db.select().from(segments).where(eq(segments.attemptId, attemptId)).limit(1)
  return row && row.startedAt.getTime() - row.startMs
}

async function listFolders(workRoot: string): Promise<string[]> {
  try {
    const entries = await readdir(workRoot, { withFileTypes: true })
    return entries.filter(entry => entry.isDirectory() && ATTEMPT_ID.test(entry.name)).map(({ name }) => name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function once(dir: string, say: () => void): void {
  if (spokenOf.has(dir)) return
  spokenOf.add(dir)
  say()
}
