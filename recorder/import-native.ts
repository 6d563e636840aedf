// A second source: what Google itself recorded of a meeting, copied from Drive to our bucket.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import { addNativeRecording } from '../db/coverage.ts'
import type { Jobs, OpenJobs } from '../db/jobs.ts'
import { findRecording, type Meeting, type Recording } from '../db/recordings.ts'
import type { NativeRecording } from '../db/schema.ts'
import type { RecordingRecord } from '../google/conference-records.ts'
import type { DriveFileFacts } from '../google/drive-download.ts'
import { isFault } from '../google/fault.ts'
import type { Google } from '../google/google.ts'
import type { Log } from '../log.ts'
import { nativeVideoKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'

export interface ImportDeps {
  config: Config
  db: Database
  jobs: OpenJobs
  google: Pick<Google, 'records' | 'downloads'>
  store: Store
  clock: Clock
  log: Log
  pace?: ImportPace
}

/** How long files are waited for, all in milliseconds: Google makes them minutes to hours after the call. */
export interface ImportPace {
  /** From one look to the next; the last one repeats. */
  delaysMs: readonly number[]
  /** How long after the end of the meeting nobody waits any more. */
  giveUpMs: number
}

const DEFAULT_PACE: ImportPace = {
  delaysMs: [60_000, 120_000, 300_000, 600_000, 1_800_000],
  giveUpMs: 24 * 3_600_000,
}

/** What came over from Drive is not what Drive says it has. */
export class NativeRecordingDamaged extends Error {
  readonly code = 'native_recording_damaged'
}

/**
 * The job `import-native`: copies each recording that Google made of the meeting's conferences to the bucket, once its
 * file exists, and sends itself again while one is still being made. Repeatable: what is copied stays copied, and a
 * copy that was cut short goes on where it stopped, on the same machine also in another run.
 * @returns how many are copied by now
 */
export async function importNative(
  deps: ImportDeps,
  { recordingId, look = 0 }: Jobs['import-native'],
  signal: AbortSignal,
): Promise<number> {
  const { db, jobs, google, clock, pace = DEFAULT_PACE } = deps
  const log = deps.log.child({ recording: recordingId })
  const found = await findRecording(db, { recordingId })
  if (!found) return 0
  const { recording, meeting } = found
  const known = new Set(recording.nativeRecordings.map(({ name }) => name))
  let waiting = 0
  for (const conference of recording.conferences) {
    for (const native of await google.records.listRecordings(meeting.organizer, conference, signal)) {
      if (known.has(native.name)) continue
      if (native.state !== 'FILE_GENERATED' || native.driveFileId === null) {
        waiting += 1
        continue
      }
      const copied = await copyOne({ ...deps, log }, found, native, known.size + 1, signal)
      if (!copied) {
        waiting += 1
        continue
      }
      await db.transaction(tx => addNativeRecording(tx, recordingId, copied))
      known.add(native.name)
      log.info({ key: copied.s3Key, sizeBytes: copied.sizeBytes }, "Google's own recording is copied")
    }
  }
  const overAt = Math.max(meeting.endsAt.getTime(), recording.endedAt?.getTime() ?? 0)
  if (waiting > 0 && clock.now() < overAt + pace.giveUpMs) {
    const delayMs = pace.delaysMs[Math.min(look, pace.delaysMs.length - 1)] ?? pace.giveUpMs
    const startAfter = new Date(clock.now() + delayMs)
    const payload = { recordingId, look: look + 1 }
    await db.transaction(tx => jobs.send(tx, 'import-native', payload, { key: recordingId, startAfter }))
  } else if (waiting > 0) log.warn({ waiting }, "Google's own recording never became a file")
  return known.size
}

/** One recording from Drive to the bucket; undefined where Google does not give the file. */
async function copyOne(
  { config, google, store, clock, log }: ImportDeps,
  { recording, meeting }: { recording: Recording; meeting: Meeting },
  native: RecordingRecord,
  number: number,
  signal: AbortSignal,
): Promise<NativeRecording | undefined> {
  const { organizer } = meeting
  const fileId = native.driveFileId ?? ''
  const workDir = join(config.dataDir, 'work', `native-${recording.id}`)
  const file = join(workDir, `${createHash('sha256').update(native.name).digest('hex').slice(0, 16)}.mp4`)
  let facts: DriveFileFacts
  try {
    facts = await google.downloads.describe(organizer, fileId, signal)
  } catch (error) {
    // Not there yet, deleted (the record keeps its name), or not to be downloaded by its owner's will.
    if (!isFault(error, 'not_found') && !isFault(error, 'forbidden')) throw error
    log.warn({ name: native.name, code: error.code }, "Google's own recording cannot be had")
    return undefined
  }
  await mkdir(workDir, { recursive: true })
  await download(google, organizer, fileId, facts, file, signal)
  const { sha256, md5 } = await fingerprints(file)
  if ((facts.sha256 ?? sha256) !== sha256 || (facts.md5 ?? md5) !== md5) {
    await rm(workDir, { recursive: true, force: true })
    throw new NativeRecordingDamaged(`what came of ${native.name} is not what Drive has`)
  }
  const s3Key = nativeVideoKey({
    prefix: config.storage.prefix,
    organizationId: recording.organizationId,
    recordingId: recording.id,
    number,
  })
  await store.put(s3Key, { file }, { contentType: 'video/mp4', sha256, lock: true, signal })
  await rm(workDir, { recursive: true, force: true })
  return {
    name: native.name,
    driveFileId: fileId,
    s3Key,
    sha256,
    driveSha256: facts.sha256,
    sizeBytes: facts.sizeBytes,
    startedAt: native.startedAt?.toISOString() ?? null,
    endedAt: native.endedAt?.toISOString() ?? null,
    copiedAt: new Date(clock.now()).toISOString(),
  }
}

/** Brings the file here, after what an earlier run left of it; the checksum tells whether that was right. */
async function download(
  google: ImportDeps['google'],
  organizer: string,
  fileId: string,
  { sizeBytes }: DriveFileFacts,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'a')
  let haveBytes = (await stat(path)).size
  if (haveBytes > sizeBytes) {
    await file.truncate(0)
    haveBytes = 0
  }
  const rest = google.downloads.read(organizer, fileId, { fromBytes: haveBytes, sizeBytes, signal })
  for await (const piece of rest) await appendAll(file, piece)
}

async function appendAll(file: FileHandle, piece: Buffer): Promise<void> {
  for (let written = 0; written < piece.length; )
    written += (await file.write(piece, written, piece.length - written)).bytesWritten
}

async function fingerprints(path: string): Promise<{ sha256: string; md5: string }> {
  const [sha256, md5] = [createHash('sha256'), createHash('md5')]
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    sha256.update(piece)
    md5.update(piece)
  }
  return { sha256: sha256.digest('hex'), md5: md5.digest('hex') }
}
