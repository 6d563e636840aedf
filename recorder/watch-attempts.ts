import { type Clock, withTimeout } from '../clock.ts'
import type { Config } from '../config.ts'
import { type LivingAttempt, listLiving, lockRecording, standsStill } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { Log } from '../log.ts'
import { concludeAttempt } from './conclude-attempt.ts'
import { sendOwed } from './send-owed.ts'

interface Deps {
  config: Config
  db: Database
  jobs: OpenJobs
  clock: Clock
  log: Log
  name: string
}

/** An attempt beats every 3 s; one that misses three is dead. */
const SILENT_MS = 10_000
const LOOK_EVERY_MS = 2_000
/** Between two looks further apart than this the watcher itself was away: what it saw before proves nothing. */
const LOOKS_APART_MS = 6_000
const OWED_EVERY_MS = 6_000
const LOOK_LIMIT_MS = 20_000

interface Seen {
  beats: number
  sinceMs: number
}

/**
 * The memory of one watcher. Time is the watcher's own monotonic clock, so that nobody's wall clock, stepped or wrong,
 * makes a living attempt look dead.
 */
export function createSilence(): (living: readonly LivingAttempt[], monotonicMs: number) => LivingAttempt[] {
  let seen = new Map<string, Seen>()
  let lookedAtMs = Number.NEGATIVE_INFINITY
  return (living, monotonicMs) => {
    const wasAway = monotonicMs - lookedAtMs > LOOKS_APART_MS
    lookedAtMs = monotonicMs
    const next = new Map<string, Seen>()
    for (const { attemptId, beats } of living) {
      const before = seen.get(attemptId)
      const same = !wasAway && before?.beats === beats
      next.set(attemptId, same ? before : { beats, sinceMs: monotonicMs })
    }
    seen = next
    return living.filter(
      ({ attemptId }) => monotonicMs - (next.get(attemptId)?.sinceMs ?? monotonicMs) >= SILENT_MS,
    )
  }
}

/**
 * Watches over the attempts of all recorders until `signal`: a silent one is closed as `recorder_died`, and another
 * recorder is called. Every recorder watches; who comes first closes.
 */
export async function watchAttempts(deps: Deps, signal: AbortSignal): Promise<void> {
  const { db, clock, log } = deps
  const silent = createSilence()
  let owedAtMs = Number.NEGATIVE_INFINITY
  while (!signal.aborted) {
    try {
      const living = await withTimeout(listLiving(db), LOOK_LIMIT_MS, 'looking at the other attempts')
      for (const dead of silent(living, performance.now())) await declareDead(deps, dead)
      if (performance.now() - owedAtMs >= OWED_EVERY_MS) {
        owedAtMs = performance.now()
        await sendOwed(deps)
      }
    } catch (error) {
      // Without the database nobody can be judged; the next look begins anew.
      log.warn({ error }, 'the other attempts cannot be watched')
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
}

async function declareDead(deps: Deps, dead: LivingAttempt): Promise<void> {
  const { config, db, clock, log, name } = deps
  const conclusion = await db.transaction(async tx => {
    await lockRecording(tx, dead.recordingId)
    if (!(await standsStill(tx, dead))) return undefined
    const attempt = { id: dead.attemptId, recordingId: dead.recordingId, recorder: name }
    return await concludeAttempt(
      tx,
      config,
      attempt,
      { ending: 'recorder_died', at: dead.heartbeatAt },
      clock.now(),
    )
  })
  if (!conclusion) return
  log.error(
    { attempt: dead.attemptId, meeting: dead.meetingId, recorder: dead.recorder, ...conclusion },
    'a recorder fell silent',
  )
  await sendOwed(deps, dead.recordingId)
}
