import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database, Transaction } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import type { OpenJobs } from '../db/jobs.ts'
import {
  closeAttempt,
  endMeeting,
  findRecording,
  hasMedia,
  listAttempts,
  type Meeting,
  moveRecording,
  openAttempt,
  type Recording,
} from '../db/recordings.ts'
import { attempts } from '../db/schema.ts'
import { isFinal } from '../db/states.ts'
import type { Log } from '../log.ts'
import { isTooEarly } from './due.ts'
import { nextStep } from './next-step.ts'
import { type RecordingProcess, spawnRecording } from './spawn-recording.ts'

export interface RecorderDeps {
  config: Config
  db: Database
  databaseUrl: string
  jobs: OpenJobs
  clock: Clock
  log: Log
  /** Host name and process id: who records. */
  name: string
}

const BUSY_RETRY_MS = 2000

/**
 * The job `record-meeting`: attempt after attempt until the meeting has an outcome. Comes to the same end whoever
 * carries it on after a crash, because every step stands in the database.
 * @param signal aborted when this recorder stops; the job then goes to another one
 */
export async function recordMeeting(
  deps: RecorderDeps,
  meetingId: string,
  signal: AbortSignal,
): Promise<void> {
  const log = deps.log.child({ meeting: meetingId })
  for (;;) {
    const found = await findRecording(deps.db, { meetingId })
    if (!found) {
      log.warn({}, 'the meeting is gone')
      return
    }
    const next = await beginAttempt(deps, found)
    if (next.kind === 'over') return
    if (next.kind === 'busy') {
      log.info({}, 'another recorder is recording this meeting')
      await deps.clock.sleep(BUSY_RETRY_MS, signal)
      continue
    }
    await runAttempt(deps, next.attemptId, signal, log)
    const step = await afterAttempt(deps, found, signal.aborted)
    log.info(step, 'attempt settled')
    if (signal.aborted) throw new Error('this recorder stops; the meeting goes on with another one')
    if (step.kind === 'settled') return
    await deps.clock.sleep(step.delaySeconds * 1000, signal)
  }
}

interface Found {
  recording: Recording
  meeting: Meeting
}

type Beginning = { kind: 'opened'; attemptId: string } | { kind: 'busy' } | { kind: 'over' }

async function beginAttempt(deps: RecorderDeps, { recording, meeting }: Found): Promise<Beginning> {
  const { config, db, clock, name } = deps
  const now = clock.now()
  if (isFinal(recording.status) || recording.status === 'finishing') return { kind: 'over' }
  if (meeting.status === 'cancelled') return await settleMeeting(deps, recording, ['left_by_request'])
  if (isTooEarly(meeting, config, now)) {
    // Moved while the bot was waiting for it; the sweep gives it a job for its new time.
    if (recording.status !== 'pending')
      await db.transaction(tx => interrupt(tx, recording, 'left_by_request', name))
    return { kind: 'over' }
  }
  const extraSeconds = meeting.patience.longestExtraSeconds ?? config.patience.longestExtraSeconds
  const lastChance = meeting.endsAt.getTime() + extraSeconds * 1000
  if (recording.status === 'pending' && now > lastChance)
    return await settleMeeting(deps, recording, ['missed'])
  const botAccount = config.bot.guest ? null : (config.bot.email ?? null)
  const opened = await db.transaction(tx =>
    openAttempt(tx, recording.id, { recorder: name, botAccount, now: new Date(now) }),
  )
  if (opened.kind === 'opened') return { kind: 'opened', attemptId: opened.attempt.id }
  return { kind: opened.because === 'over' ? 'over' : 'busy' }
}

/** Writes down what follows an attempt: the outcome, or an interruption with a pause before the next one. */
async function afterAttempt(
  deps: RecorderDeps,
  { recording, meeting }: Found,
  stopping: boolean,
): Promise<{ kind: 'settled' } | { kind: 'again'; delaySeconds: number }> {
  const { config, db, clock, name } = deps
  const endings = (await listAttempts(db, recording.id)).map(attempt => attempt.ending ?? 'recorder_died')
  const last = endings.at(-1) ?? 'recorder_died'
  const now = clock.now()
  const step = nextStep({
    endings,
    hasMedia: await hasMedia(db, recording.id),
    now,
    endsAt: meeting.endsAt.getTime(),
  })
  const moved =
    last === 'left_by_request' &&
    isTooEarly((await findRecording(db, { meetingId: meeting.id }))?.meeting ?? meeting, config, now)
  if (!stopping && !moved && step.kind !== 'again') {
    await settleMeeting(deps, recording, endings)
    return { kind: 'settled' }
  }
  await db.transaction(tx => interrupt(tx, recording, last, name))
  return { kind: 'again', delaySeconds: step.kind === 'again' && !moved ? step.delaySeconds : 0 }
}

async function runAttempt(
  { db, databaseUrl, clock }: RecorderDeps,
  attemptId: string,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const child: RecordingProcess = spawnRecording(attemptId, databaseUrl, log)
  const leave = () => child.leave('recorder_stopped')
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  const exit = await child.exit
  signal.removeEventListener('abort', leave)
  // A child that died before it could write leaves its row open; one that wrote is left as it is.
  await db.transaction(tx => closeAttempt(tx, attemptId, 'recorder_died', new Date(clock.now())))
  if (exit.code !== 0) log.error({ attempt: attemptId, ...exit }, 'the recording process died')
}

async function interrupt(
  tx: Transaction,
  recording: Recording,
  ending: Ending,
  actor: string,
): Promise<void> {
  await moveRecording(tx, recording.id, 'interrupted', { actor: `recorder:${actor}`, ending })
}

/** No more attempts: the recording is finished from its segments, or has its final word; the meeting is over. */
async function settleMeeting(
  { db, jobs, clock, log, name }: RecorderDeps,
  recording: Recording,
  endings: Ending[],
): Promise<{ kind: 'over' }> {
  const ending = endings.at(-1) ?? 'missed'
  const media = await hasMedia(db, recording.id)
  const { kind } = nextStep({ endings, hasMedia: media, now: Number.POSITIVE_INFINITY, endsAt: 0 })
  const actor = `recorder:${name}`
  await db.transaction(async tx => {
    const stays = await tx
      .select({ admittedAt: attempts.admittedAt, endedAt: attempts.endedAt })
      .from(attempts)
      .where(eq(attempts.recordingId, recording.id))
    const lastInCall =
      stays
        .filter(stay => stay.admittedAt)
        .map(stay => stay.endedAt)
        .at(-1) ?? null
    if (kind === 'finish') {
      await moveRecording(tx, recording.id, 'finishing', {
        actor,
        ending,
        set: { endedAt: lastInCall ?? new Date(clock.now()) },
      })
      await jobs.send(tx, 'finish-recording', { recordingId: recording.id }, { key: recording.id })
    } else if (ending === 'left_by_request')
      await moveRecording(tx, recording.id, 'cancelled', { actor, ending })
    else await moveRecording(tx, recording.id, kind === 'not_held' ? 'not_held' : 'failed', { actor, ending })
    await endMeeting(tx, recording.meetingId, kind === 'not_held' ? null : lastInCall)
  })
  if (kind === 'failed' && ending !== 'left_by_request') {
    // Loud on purpose: a meeting without a recording is the one failure that counts.
    log.error({ recording: recording.id, ending }, 'MEETING NOT RECORDED')
  }
  return { kind: 'over' }
}
