import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { type Attempt, listAttempts, listLivingOf, lockRecording, openAttempt } from '../db/attempts.ts'
import type { Database, Transaction } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { findRecording } from '../db/recordings.ts'
import { isFinal } from '../db/states.ts'
import type { Log } from '../log.ts'
import { callIsOver, type Settlement, settleRecording } from './conclude-attempt.ts'
import { hardStopAt, isTooEarly } from './due.ts'

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

/** What a recorder that was woken for a meeting has to do. */
export type Beginning =
  | { kind: 'opened'; attempt: Attempt; beside: boolean }
  /** Nothing: it is over, too early, or another one is at it. */
  | { kind: 'nothing'; because: string }
  /** Not here: the other lane of this recording is on this host. */
  | { kind: 'elsewhere' }

/** Answers a trigger: opens an attempt where one is due, or writes the outcome of a meeting that is past recording. */
export async function beginAttempt(
  deps: RecorderDeps,
  { meetingId, lane = 0 }: { meetingId: string; lane?: number },
): Promise<Beginning> {
  const { config, db, clock, log, name } = deps
  const now = clock.now()
  const found = await findRecording(db, { meetingId })
  if (!found) return { kind: 'nothing', because: 'the meeting is gone' }
  const { recording, meeting } = found
  if (isFinal(recording.status) || recording.status === 'finishing')
    return { kind: 'nothing', because: 'it is over' }
  // Moved while its trigger waited; the rows ask for a trigger at the new time.
  if (isTooEarly(meeting, config, now)) return { kind: 'nothing', because: 'it was moved' }
  const over = meeting.status === 'cancelled' ? 'left_by_request' : 'missed'
  const seenToTheEnd = callIsOver(await listAttempts(db, recording.id))
  if (over === 'left_by_request' || now > hardStopAt(meeting, config) || seenToTheEnd) {
    const settled = await db.transaction(tx => settleUnattended(tx, recording.id, over, deps))
    if (settled === 'failed') log.error({ recording: recording.id, ending: over }, 'MEETING NOT RECORDED')
    return { kind: 'nothing', because: 'it is past recording' }
  }
  const botAccount = config.bot.guest ? null : (botOfLane(config, lane).email ?? null)
  const opened = await db.transaction(tx =>
    openAttempt(tx, recording.id, { recorder: name, botAccount, lane }),
  )
  if (opened.kind === 'opened') return opened
  if (opened.because === 'same_host') return { kind: 'elsewhere' }
  return { kind: 'nothing', because: opened.because }
}

// Somebody may still be in the call; the end of that attempt settles it then.
async function settleUnattended(
  tx: Transaction,
  recordingId: string,
  ending: Ending,
  { name, clock }: RecorderDeps,
): Promise<Settlement | undefined> {
  await lockRecording(tx, recordingId)
  if ((await listLivingOf(tx, recordingId)).length > 0) return undefined
  const attended = (await listAttempts(tx, recordingId)).length > 0
  return await settleRecording(tx, {
    recordingId,
    actor: `recorder:${name}`,
    now: clock.now(),
    ...(attended ? {} : { ending }),
  })
}

/** Which bot account goes into the call: the second lane has its own, since one account is one seat. */
export function botOfLane(config: Config, lane: number): { email: string | undefined; profileDir: string } {
  const { bot, dataDir } = config
  return lane === 0
    ? { email: bot.email, profileDir: bot.profileDir ?? join(dataDir, 'bot-profile') }
    : { email: bot.second.email, profileDir: bot.second.profileDir ?? join(dataDir, 'second-bot-profile') }
}
