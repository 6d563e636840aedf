import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { finishAnew, markAdmitted, markWaiting } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import type { DatabaseClock } from '../db/database-clock.ts'
import { ENDINGS, type Ending } from '../db/endings.ts'
import { findRecording, hasSeenPeople, type Meeting, notePresence } from '../db/recordings.ts'
import { type Artefact, attempts } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { askGoogleLate } from './ask-google-late.ts'
import { borrowProfile, NoBotProfile } from './bot-profile.ts'
import { concludeAttempt } from './conclude-attempt.ts'
import { keepArtefacts } from './keep-artefacts.ts'
import { keepBeating } from './keep-beating.ts'
import { deadlinesOf, isElsewhere, planVisit } from './plan-visit.ts'
import { botOfLane } from './record-meeting.ts'
import { openSpool, type Spool } from './spool/spool.ts'
import { type Visit, type VisitOutcome, visitCall } from './visit-call.ts'

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
const DRAIN_AFTER_FAULT_MS = 3_000
const DRAIN_LOOK_MS = 50
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
  const plan: Visit = {
    ...planVisit(config, found.meeting, botOfLane(config, attempt.lane)),
    beside,
    googleSaysSomebody: askGoogleLate(deps, found.meeting),
    sawPeopleBefore: await hasSeenPeople(db, found.meeting.id),
  }
  const over = new AbortController()
  const stop = new AbortController()
  const inside = new Set<string>()
  const beating = keepBeating({ ...deps, clockOffsetMs: clock.offsetMs() }, attempt.id, over.signal, {
    stop: ending => stop.abort(ending),
    meeting: meeting => {
      Object.assign(plan, deadlinesOf(config, meeting))
      if (isElsewhere(meeting, plan, inside)) stop.abort('room_changed' satisfies Ending)
    },
  })
  await using spool = openSpool(
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
      recordingId: attempt.recordingId,
      attemptId: attempt.id,
      attemptNumber: attempt.number,
    },
  )
  const signal = AbortSignal.any([deps.signal, stop.signal])
  const {
    artefacts: left,
    detail: seen,
    ...outcome
  } = await visit({ ...deps, signal }, attempt, found, plan, { spool, inside })
  const kept = { store: deps.store, prefix: config.storage.prefix, log }
  const artefacts = left ? await keepArtefacts(kept, attempt, left) : []
  await drainFor(spool, outcome.ending, clock)
  const detail = detailOf(spool, seen)
  await writeEnd(deps, attempt, { ...outcome, artefacts, ...(detail === undefined ? {} : { detail }) })
  over.abort()
  await beating
  if (spool.state().waiting > 0) {
    await spool
      .drained(DRAIN_LIMIT_MS)
      .catch((error: unknown) => log.error({ error }, 'segments wait on this disk'))
    await db.transaction(tx => finishAnew(tx, attempt.recordingId, { actor: `recorder:${attempt.recorder}` }))
  }
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
  { meeting }: { meeting: Meeting },
  plan: Visit,
  { spool, inside }: { spool: Spool; inside: Set<string> },
): Promise<VisitOutcome> {
  const { db, clock, log, config } = deps
  const actor = `recorder:${attempt.recorder}`
  const of = { organizationId: attempt.organizationId, meetingId: meeting.id, attemptId: attempt.id }
  try {
    const profile =
      plan.as.kind === 'signed_in'
        ? await borrowProfile(botOfLane(config, attempt.lane).profileDir, deps.workDir)
        : undefined
    if (profile) plan.browser.profileDir = profile.dir
    const outcome = await visitCall(
      plan,
      {
        state: state => db.transaction(tx => markWaiting(tx, attempt, state, actor)),
        recording: admittedAt => db.transaction(tx => markAdmitted(tx, attempt.id, admittedAt, actor)),
        fragment: fragment => spool.fragment(fragment),
        segment: segment => spool.take(segment),
        people: ({ personKey, name, bot, change, at }) => {
          if (change === 'left') inside.delete(personKey)
          else if (!bot) inside.add(personKey)
          return notePresence(db, of, { personKey, name, kind: change, at })
        },
      },
      { clock, log, signal: deps.signal },
    )
    if (profile && CLEAN.has(outcome.ending)) await profile.giveBack()
    return outcome
  } catch (error) {
    if (error instanceof NoBotProfile) {
      log.error({ error: error.message }, 'the bot cannot sign in')
      const endedAt = new Date(clock.now())
      return { ending: 'bot_not_signed_in', detail: error.message, endedAt, notInCallMs: 0 }
    }
    log.error({ error }, 'the attempt met an error it does not know')
    return { ending: 'recorder_error', endedAt: new Date(clock.now()), notInCallMs: 0 }
  }
}

/** The last segments of a call that ended in order are waited for; after a fault the next attempt must not wait for them. */
async function drainFor(spool: Spool, ending: Ending, clock: Clock): Promise<void> {
  const until = performance.now() + (ENDINGS[ending].tryAgain ? DRAIN_AFTER_FAULT_MS : DRAIN_LIMIT_MS)
  while (spool.state().waiting > 0 && performance.now() < until) await clock.sleep(DRAIN_LOOK_MS)
}

function detailOf(spool: Spool, detail: string | undefined): string | undefined {
  const { waiting, thinned, lost } = spool.state()
  const words = [
    detail,
    waiting > 0 &&
      `${waiting} segments wait on the recorder's disk and are stored when that is possible again`,
    thinned > 0 &&
      `the bucket was away for so long that ${thinned} segments kept only their key frames and their sound`,
    lost > 0 && `${lost} segments were lost: disk and memory were full`,
  ].filter(part => typeof part === 'string')
  return words.length === 0 ? undefined : words.join('; ')
}

// After these the browser closed in order and was in the call: its session is worth keeping.
const CLEAN: ReadonlySet<Ending> = new Set([
  'call_ended_by_host',
  'everyone_left',
  'only_bots_left',
  'nobody_came',
  'left_by_request',
  'room_changed',
  'longest_call_reached',
])
