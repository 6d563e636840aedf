import { userInfo } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import {
  beat,
  closeAttempt,
  findRecording,
  hasSeenPeople,
  type Meeting,
  markAdmitted,
  moveRecording,
  notePresence,
  type Recording,
} from '../db/recordings.ts'
import { type Artefact, attempts } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { artefactKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import { borrowProfile, NoBotProfile } from './bot-profile.ts'
import { splitShellWords } from './chromium-args.ts'
import { isTooEarly } from './due.ts'
import type { Artefacts } from './meet-page/meet-page.ts'
import { openSegmentStore } from './store-segments.ts'
import { type Visit, type VisitOutcome, visitCall } from './visit-call.ts'

interface Deps {
  config: Config
  db: Database
  store: Store
  clock: Clock
  log: Log
  workDir: string
  signal: AbortSignal
}

type AttemptRow = typeof attempts.$inferSelect

const BEAT_MS = 3000
/** The last segments get this long to reach the bucket after the call. */
const DRAIN_LIMIT_MS = 600_000

/** Carries out an opened attempt and closes its row. Every fault becomes an ending. */
export async function recordAttempt(deps: Deps, attemptId: string): Promise<Ending> {
  const { db, log, clock } = deps
  const [attempt] = await db.select().from(attempts).where(eq(attempts.id, attemptId))
  const found = attempt && (await findRecording(db, { recordingId: attempt.recordingId }))
  if (!attempt || !found) throw new Error(`attempt ${attemptId} is not there`)
  const actor = `recorder:${attempt.recorder}`
  let outcome: VisitOutcome
  try {
    outcome = await visit(deps, attempt, found, actor)
  } catch (error) {
    log.error({ error }, 'the attempt met an error it does not know')
    outcome = { ending: 'recorder_error', endedAt: new Date(clock.now()), notInCallMs: 0 }
  }
  const artefacts = outcome.artefacts ? await keepArtefacts(deps, attempt, outcome.artefacts) : []
  await db.transaction(tx =>
    closeAttempt(tx, attemptId, outcome.ending, outcome.endedAt, artefacts, Math.round(outcome.notInCallMs)),
  )
  return outcome.ending
}

async function visit(
  deps: Deps,
  attempt: AttemptRow,
  { meeting, recording }: { meeting: Meeting; recording: Recording },
  actor: string,
): Promise<VisitOutcome> {
  const { db, clock, log } = deps
  const of = { organizationId: attempt.organizationId, meetingId: meeting.id, attemptId: attempt.id }
  const segments = openSegmentStore(
    {
      db,
      store: deps.store,
      prefix: deps.config.storage.prefix,
      workDir: deps.workDir,
      log,
      now: () => clock.now(),
    },
    {
      organizationId: attempt.organizationId,
      recordingId: recording.id,
      attemptId: attempt.id,
      attemptNumber: attempt.number,
    },
  )
  const over = new AbortController()
  const stop = new AbortController()
  const beating = keepBeating(deps, attempt.id, over.signal, ending => stop.abort(ending))
  try {
    const plan = { ...planVisit(deps.config, meeting), sawPeopleBefore: await hasSeenPeople(db, meeting.id) }
    const profile =
      plan.as.kind === 'signed_in' ? await borrowProfile(botProfileDir(deps.config), deps.workDir) : undefined
    if (profile) plan.browser.profileDir = profile.dir
    const outcome = await visitCall(
      plan,
      {
        state: async state => {
          await db.transaction(tx => moveRecording(tx, recording.id, state, { actor }))
        },
        recording: async admittedAt => {
          await db.transaction(tx => markAdmitted(tx, attempt.id, admittedAt, actor))
        },
        segment: segment => segments.take(segment),
        people: ({ personKey, name, change, at }) =>
          notePresence(db, of, { personKey, name, kind: change, at }),
      },
      { clock, log, signal: AbortSignal.any([deps.signal, stop.signal]) },
    )
    if (profile && CLEAN.has(outcome.ending)) await profile.giveBack()
    return await settle(outcome, segments.drained(), deps)
  } catch (error) {
    if (!(error instanceof NoBotProfile)) throw error
    log.error({ error: error.message }, 'the bot cannot sign in')
    return {
      ending: 'bot_not_signed_in',
      detail: error.message,
      endedAt: new Date(clock.now()),
      notInCallMs: 0,
    }
  } finally {
    over.abort()
    await beating
  }
}

// A recording whose last segments are not in the bucket is not whole: that outranks the way the call ended.
async function settle(
  outcome: VisitOutcome,
  drained: Promise<void>,
  { clock, log }: Deps,
): Promise<VisitOutcome> {
  const tooLate = new AbortController()
  try {
    await Promise.race([
      drained,
      clock.sleep(DRAIN_LIMIT_MS, tooLate.signal).then(() => {
        throw new Error(`the last segments were not stored within ${DRAIN_LIMIT_MS / 1000} s`)
      }),
    ])
    return outcome
  } catch (error) {
    log.error({ error }, 'segments are missing in the bucket')
    return { ...outcome, ending: 'storage_failed', detail: String(error) }
  } finally {
    tooLate.abort()
  }
}

/** Signs of life until `over`; a cancelled meeting or a lost attempt stops the visit. */
async function keepBeating(
  { config, db, clock, log }: Deps,
  attemptId: string,
  over: AbortSignal,
  stop: (ending: Ending) => void,
): Promise<void> {
  while (!over.aborted) {
    try {
      const answer = await beat(db, attemptId, new Date(clock.now()))
      if (answer.kind === 'lost') stop('recorder_died')
      // Cancelled, or moved away while the bot waits for it: the meeting's own job follows the new time.
      else if (answer.meeting.status === 'cancelled' || isTooEarly(answer.meeting, config, clock.now())) {
        stop('left_by_request')
      }
    } catch (error) {
      // The database may be away for a while; the call goes on and the next sign of life is tried anyway.
      log.warn({ error }, 'no sign of life could be written')
    }
    await clock.sleep(BEAT_MS, over).catch(() => undefined)
  }
}

async function keepArtefacts(
  { store, config, log }: Deps,
  attempt: AttemptRow,
  { screenshot, html, at, screen }: Artefacts,
): Promise<Artefact[]> {
  const pieces = [
    { kind: 'screenshot', name: 'screen.png', body: screenshot, contentType: 'image/png' },
    {
      kind: 'html',
      name: 'page.html',
      body: html && Buffer.from(html),
      contentType: 'text/html; charset=utf-8',
    },
  ] as const
  const kept: Artefact[] = []
  for (const { kind, name, body, contentType } of pieces) {
    if (!body) continue
    const key = artefactKey({
      prefix: config.storage.prefix,
      organizationId: attempt.organizationId,
      recordingId: attempt.recordingId,
      attempt: attempt.number,
      name,
    })
    try {
      await store.put(key, body, { contentType })
      kept.push({ kind, key, takenAt: at.toISOString(), screen })
    } catch (error) {
      log.error({ error, key }, 'an artefact could not be kept')
    }
  }
  return kept
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

/** Where the signed-in profile of the bot is kept. */
export const botProfileDir = (config: Config) => config.bot.profileDir ?? join(config.dataDir, 'bot-profile')

/** The settings and the meeting's own limits, put together for one visit. */
export function planVisit(
  config: Config,
  meeting: Pick<Meeting, 'joinUrl' | 'startsAt' | 'endsAt' | 'patience'>,
): Visit {
  if (!meeting.joinUrl) throw new Error('the meeting has no link to join')
  const limits = { ...config.patience, ...meeting.patience }
  const hardStopAt = new Date(meeting.endsAt.getTime() + limits.longestExtraSeconds * 1000)
  const { email, guest, name, language } = config.bot
  return {
    url: meeting.joinUrl,
    as: guest ? { kind: 'guest', name } : { kind: 'signed_in', email: email ?? null },
    language,
    scheduledStart: meeting.startsAt,
    sawPeopleBefore: false,
    waitingRoomMs: limits.waitingRoomSeconds * 1000,
    giveUpAt: meeting.endsAt,
    hardStopAt,
    leave: {
      nobodyCameMs: limits.nobodyCameSeconds * 1000,
      everyoneLeftMs: limits.everyoneLeftSeconds * 1000,
      onlyBotsMs: limits.onlyBotsSeconds * 1000,
    },
    browser: {
      chromiumPath: config.chromium.path,
      chromiumArgs: splitShellWords(config.chromium.args),
      width: config.recorder.width,
      height: config.recorder.height,
      sandbox: config.chromium.sandbox === 'auto' ? userInfo().uid !== 0 : config.chromium.sandbox === 'on',
      language: language === 'es' ? 'es-419' : 'en-US',
    },
    capture: {
      width: config.recorder.width,
      height: config.recorder.height,
      fps: config.recorder.fps,
      videoBitsPerSecond: config.recorder.videoBitsPerSecond,
      audioBitsPerSecond: 128_000,
      keyFrameSeconds: Math.min(4, config.recorder.segmentSeconds),
    },
    segmentSeconds: config.recorder.segmentSeconds,
  }
}
