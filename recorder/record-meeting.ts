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
  const { db, clock } = deps
  const log = deps.log.child({ meeting: meetingId })
  for (;;) {
    const found = await findRecording(db, { meetingId })
    if (!found) {
      log.warn({}, 'the meeting is gone')
      return
    }
    const { recording, meeting } = found
    if (isFinal(recording.status) || recording.status === 'finishing') return
    if (meeting.status === 'cancelled') return await settleMeeting(deps, recording, ['left_by_request'])
    if (isTooEarly(meeting, deps.config, clock.now())) {
      // Moved while the bot was waiting for it; the sweep gives it a job for its new time.
      if (recording.status !== 'pending')
        await db.transaction(tx => interrupt(tx, recording, 'left_by_request', deps.name))
      return
    }
    const lastChance =
      meeting.endsAt.getTime() +
      (meeting.patience.longestExtraSeconds ?? deps.config.patience.longestExtraSeconds) * 1000
    if (recording.status === 'pending' && clock.now() > lastChance)
      return await settleMeeting(deps, recording, ['missed'])

    const opened = await db.transaction(tx =>
      openAttempt(tx, recording.id, {
        recorder: deps.name,
        botAccount: deps.config.bot.guest ? null : (deps.config.bot.email ?? null),
        now: new Date(clock.now()),
      }),
    )
    if (opened.kind === 'refused') {
      if (opened.because === 'over') return
      log.info({}, 'another recorder is recording this meeting')
      await clock.sleep(BUSY_RETRY_MS, signal)
      continue
    }
    await runAttempt(deps, opened.attempt.id, signal, log)
    const endings = (await listAttempts(db, recording.id)).map(attempt => attempt.ending ?? 'recorder_died')
    if (signal.aborted) {
      await db.transaction(tx => interrupt(tx, recording, endings.at(-1) ?? 'recorder_stopped', deps.name))
      throw new Error('this recorder stops; the meeting goes on with another one')
    }
    if (endings.at(-1) === 'left_by_request') {
      const now = await findRecording(db, { meetingId })
      if (now && isTooEarly(now.meeting, deps.config, clock.now())) continue
    }
    const step = nextStep({
      endings,
      hasMedia: await hasMedia(db, recording.id),
      now: clock.now(),
      endsAt: meeting.endsAt.getTime(),
    })
    log.info({ ending: endings.at(-1), step }, 'attempt settled')
    if (step.kind !== 'again') return await settleMeeting(deps, recording, endings)
    await db.transaction(tx => interrupt(tx, recording, endings.at(-1) ?? 'recorder_died', deps.name))
    await clock.sleep(step.delaySeconds * 1000, signal)
  }
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
): Promise<void> {
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
}
