// A process that finishes recordings as a recorder does, for being measured: asked and answering over IPC.
import { systemClock } from '../../clock.ts'
import { readConfig } from '../../config.ts'
import { openDatabase } from '../../db/connect.ts'
import { openJobs } from '../../db/jobs.ts'
import { findRecording } from '../../db/recordings.ts'
import { createLog } from '../../log.ts'
import { finishRecording } from '../../recorder/finish-recording.ts'
import { createStore } from '../../storage/s3.ts'

/** What the process answers. */
export interface FinishedJob {
  /** Milliseconds after the job began, by step. */
  steps: Record<string, number>
  /** … until a download by the link gave its first byte. */
  linkWorksMs: number
  cpuMs: number
  status: string
  durationMs: number
  sizeBytes: number
}

const config = readConfig(process.env)
const log = createLog(config.logLevel, { process: 'bench' })
await using database = openDatabase(config.databaseUrl ?? '')
await using jobs = await openJobs(config.databaseUrl ?? '', error =>
  log.error({ error }, 'the job queue complains'),
)
const store = createStore(config.storage, log)
const closed = Promise.withResolvers<void>()

async function finish(recordingId: string): Promise<FinishedJob> {
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  const sinceStart = () => Math.round(performance.now() - startedAt)
  const steps: Record<string, number> = {}
  await finishRecording(
    {
      ...{ config, db: database.db, jobs, store, clock: systemClock, log },
      onStep: step => {
        steps[step] = sinceStart()
      },
    },
    recordingId,
    new AbortController().signal,
  )
  const recording = (await findRecording(database.db, { recordingId }))?.recording
  if (!recording?.s3Key) throw new Error(`the recording became ${recording?.status}`)
  const link = await store.link(recording.s3Key, { filename: 'recording.mp4' })
  const answer = await fetch(link, { headers: { range: 'bytes=0-0' } })
  await answer.body?.cancel()
  if (!answer.ok) throw new Error(`the link answers ${answer.status}`)
  const { user, system } = process.cpuUsage(cpuBefore)
  const { status, durationMs, sizeBytes } = recording
  const cpuMs = Math.round((user + system) / 1000)
  return {
    steps,
    linkWorksMs: sinceStart(),
    cpuMs,
    status,
    durationMs: durationMs ?? 0,
    sizeBytes: sizeBytes ?? 0,
  }
}

process.on('message', (recordingId: string) => {
  finish(recordingId).then(
    result => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => closed.resolve())
process.send?.({ ready: true })
await closed.promise
store.close()
