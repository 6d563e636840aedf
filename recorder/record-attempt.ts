import { eq } from 'drizzle-orm'
import type { Config } from '../config.ts'
import { markAdmitted, markWaiting } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import type { DatabaseClock } from '../db/database-clock.ts'
import type { Ending } from '../db/endings.ts'
import { findRecording, hasSeenPeople, type Meeting, notePresence, type Recording } from '../db/recordings.ts'
import { type Artefact, attempts } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { borrowProfile, NoBotProfile } from './bot-profile.ts'
import { concludeAttempt } from './conclude-attempt.ts'
import { keepArtefacts } from './keep-artefacts.ts'
import { keepBeating } from './keep-beating.ts'
import { planVisit } from './plan-visit.ts'
import { botOfLane } from './record-meeting.ts'
import { openSpool, type Spool } from './spool/spool.ts'
import { type VisitOutcome, visitCall } from './visit-call.ts'

interface Deps {
  config: Config
  db: Database
  store: Store
  clock: DatabaseClock
  log: Log
  workDir: string
  signal: AbortSignal
}

type AttemptRow = typeof attempts.$inferSelect

/** The last segments get this long to reach the bucket after the call; what is left then is taken up from the disk. */
const DRAIN_LIMIT_MS = 600_000
/** How long the end of an attempt is tried to be written; after that whoever watches closes it. */
const WRITE_LIMIT_MS = 1_800_000
const WRITE_AGAIN_MS = 2_000

/**
 * Carries out an opened attempt, and writes how it ended and what follows. Every fault becomes an ending.
 * @param beside another bot of the same account is in the call and hands over
 */
export async function recordAttempt(deps: Deps, attemptId: string, beside: boolean): Promise<Ending> {
  const { db, log, clock, config } = deps
  const [attempt] = await db.select().from(attempts).where(eq(attempts.id, attemptId))
  const found = attempt && (await findRecording(db, { recordingId: attempt.recordingId }))
  if (!attempt || !found) throw new Error(`attempt ${attemptId} is not there`)
  const over = new AbortController()
  const stop = new AbortController()
  const beating = keepBeating({ ...deps, clockOffsetMs: clock.offsetMs() }, attempt.id, over.signal, {
    stop: ending => stop.abort(ending),
    meeting: () => undefined,
  })
  let outcome: VisitOutcome
  try {
    outcome = await visit(
      { ...deps, signal: AbortSignal.any([deps.signal, stop.signal]) },
      attempt,
      found,
      beside,
    )
  } catch (error) {
    log.error({ error }, 'the attempt met an error it does not know')
    outcome = { ending: 'recorder_error', endedAt: new Date(clock.now()), notInCallMs: 0 }
  }
  const kept = { store: deps.store, prefix: config.storage.prefix, log }
  const artefacts = outcome.artefacts ? await keepArtefacts(kept, attempt, outcome.artefacts) : []
  await writeEnd(deps, attempt, { ...outcome, artefacts })
  over.abort()
  await beating
  return outcome.ending
}

async function writeEnd(
  { db, log, clock, config }: Deps,
  attempt: AttemptRow,
  { endedAt, ...facts }: Omit<VisitOutcome, 'artefacts'> & { artefacts: Artefact[] },
): Promise<void> {
  const until = clock.now() + WRITE_LIMIT_MS
  for (;;) {
    try {
      const conclusion = await db.transaction(tx =>
        concludeAttempt(tx, config, attempt, { ...facts, at: endedAt }, clock.now()),
      )
      log.info(conclusion, 'attempt concluded')
      if (conclusion.kind === 'settled' && conclusion.as === 'failed') {
        // Loud on purpose: a meeting without a recording is the one failure that counts.
        log.error({ recording: attempt.recordingId, ending: facts.ending }, 'MEETING NOT RECORDED')
      }
      return
    } catch (error) {
      if (clock.now() > until) throw error
      log.warn({ error }, 'the end of the attempt cannot be written yet')
      await clock.sleep(WRITE_AGAIN_MS)
    }
  }
}

async function visit(
  deps: Deps,
  attempt: AttemptRow,
  { meeting, recording }: { meeting: Meeting; recording: Recording },
  beside: boolean,
): Promise<VisitOutcome> {
  const { db, clock, log, config } = deps
  const actor = `recorder:${attempt.recorder}`
  const of = { organizationId: attempt.organizationId, meetingId: meeting.id, attemptId: attempt.id }
  await using segments = openSpool(
    {
      db,
      store: deps.store,
      prefix: config.storage.prefix,
      workDir: deps.workDir,
      log,
      clock,
      boundBytes: config.recorder.spoolBytes,
    },
    {
      organizationId: attempt.organizationId,
      recordingId: recording.id,
      attemptId: attempt.id,
      attemptNumber: attempt.number,
    },
  )
  try {
    const bot = botOfLane(config, attempt.lane)
    const plan = { ...planVisit(config, meeting, bot), sawPeopleBefore: await hasSeenPeople(db, meeting.id) }
    const profile =
      plan.as.kind === 'signed_in' ? await borrowProfile(bot.profileDir, deps.workDir) : undefined
    if (profile) plan.browser.profileDir = profile.dir
    const outcome = await visitCall(
      plan,
      {
        state: state => db.transaction(tx => markWaiting(tx, attempt, state, actor)),
        recording: admittedAt => db.transaction(tx => markAdmitted(tx, attempt.id, admittedAt, actor)),
        segment: segment => segments.take(segment),
        people: ({ personKey, name, change, at }) =>
          notePresence(db, of, { personKey, name, kind: change, at }),
      },
      { clock, log, signal: deps.signal },
    )
    if (profile && CLEAN.has(outcome.ending)) await profile.giveBack()
    return await settle(outcome, segments, log)
  } catch (error) {
    if (!(error instanceof NoBotProfile)) throw error
    log.error({ error: error.message }, 'the bot cannot sign in')
    return {
      ending: 'bot_not_signed_in',
      detail: error.message,
      endedAt: new Date(clock.now()),
      notInCallMs: 0,
    }
  }
}

// A recording whose last segments are not in the bucket is not whole: that outranks the way the call ended.
async function settle(outcome: VisitOutcome, segments: Spool, log: Log): Promise<VisitOutcome> {
  try {
    await segments.drained(DRAIN_LIMIT_MS)
    return outcome
  } catch (error) {
    log.error({ error }, 'segments are missing in the bucket')
    return { ...outcome, ending: 'storage_failed', detail: String(error) }
  }
}

// After these the browser closed in order and was in the call: its session is worth keeping.
const CLEAN: ReadonlySet<Ending> = new Set([
  'call_ended_by_host',
  'everyone_left',
  'only_bots_left',
  'nobody_came',
  'left_by_request',
  'longest_call_reached',
])
