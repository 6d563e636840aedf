// After a call: how much of it is in the recording, by Google's own record of who was there.
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { type Attempt, listAttempts, lockRecording } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import {
  auditCoverage,
  listStays,
  raiseCoverageAlert,
  saveCoverage,
  saveGooglePresences,
} from '../db/coverage.ts'
import type { Jobs, OpenJobs } from '../db/jobs.ts'
import { findRecording, type Meeting, type Recording } from '../db/recordings.ts'
import type { Coverage } from '../db/schema.ts'
import type { RecordingStatus } from '../db/states.ts'
import { announceCoverageAlert } from '../db/webhooks.ts'
import { GoogleFault } from '../google/fault.ts'
import type { Google } from '../google/google.ts'
import type { Log } from '../log.ts'
import { type ConferenceReading, humanIntervals, readConferences } from './conference-reading.ts'
import { computeCoverage, type Interval } from './coverage.ts'
import { isBotTile, learnBots } from './known-bots.ts'
import { DEFAULT_PACE, nextLook, type Pace } from './look-again.ts'

export interface CoverageDeps {
  config: Config
  db: Database
  jobs: OpenJobs
  google: Pick<Google, 'records'>
  clock: Clock
  log: Log
  /** When to look again; the default is Google's own slowness. */
  pace?: Pace
}

/** `waiting`: it will be looked at again. `not_concerned`: there is nothing to cover. */
export type CoverageOutcome = 'final' | 'waiting' | 'given_up' | 'not_concerned'

const ACTOR = 'job:read-conference'
const SETTLED: readonly RecordingStatus[] = ['finishing', 'available', 'partial', 'failed', 'not_held']
const VIDEO: readonly RecordingStatus[] = ['available', 'partial']
const MOST_GAPS_TOLD = 20

/**
 * The job `read-conference`: reads Google's record of the meeting's conferences, works out the coverage and sends itself
 * again, in the transaction that stores what it found, until two readings say the same of a conference that is over.
 * Then, and when there is no record to be had, it raises the alert where too little is recorded: once per recording, also
 * for a meeting that was held and has no recording at all. Repeatable at any time; a new revision is covered anew.
 */
export async function readConference(
  deps: CoverageDeps,
  { recordingId, look = 0, seen }: Jobs['read-conference'],
  signal: AbortSignal,
): Promise<CoverageOutcome> {
  const { config, db, jobs, clock, pace = DEFAULT_PACE } = deps
  const log = deps.log.child({ recording: recordingId })
  const found = await findRecording(db, { recordingId })
  if (!found || !SETTLED.includes(found.recording.status)) return 'not_concerned'
  // Finished by a version that kept no timeline: what is in the file is not known.
  if (VIDEO.includes(found.recording.status) && !found.recording.timeline) return 'not_concerned'
  const attempts = await listAttempts(db, recordingId)
  const record = await askForRecord({ ...deps, log }, found.meeting, attempts, signal)
  const now = clock.now()
  const times = {
    look,
    now,
    endsAt: found.meeting.endsAt.getTime(),
    endedAt: Math.max(found.meeting.endsAt.getTime(), found.recording.endedAt?.getTime() ?? 0),
    wasThere: attempts.some(attempt => attempt.admittedAt !== null),
  }

  return db.transaction(async tx => {
    // Read again: a revision may have been published while Google was asked.
    const recording = (await lockRecording(tx, recordingId)) ?? found.recording
    const { meeting } = found
    const stays = await listStays(tx, meeting.id)
    const coverage = coverageOf(config, recording, record, stays, now)
    const finishing = recording.status === 'finishing'
    const empty = record.kind === 'read' && record.conferences.length === 0
    const stable =
      record.kind === 'read'
        ? !record.ongoing && (record.fingerprint === seen || isStored(record, recording, stays.google))
        : stays.google.length > 0
    const beyondEnd = now >= times.endsAt + pace.afterEndMs
    const final = stable && !finishing && coverage.source === 'google' && (!empty || beyondEnd)
    const next = nextLook(pace, { ...times, final, ongoing: record.kind === 'read' && record.ongoing, empty })
    if (next) {
      const fingerprint = record.kind === 'read' ? record.fingerprint : seen
      await jobs.send(
        tx,
        'read-conference',
        { recordingId, look: next.look, ...(fingerprint !== undefined && { seen: fingerprint }) },
        { key: recordingId, startAfter: new Date(next.at) },
      )
    }
    // A video that is being made holds nothing yet: what could be said of it would be wrong.
    if (finishing && next) return 'waiting'

    const decided = final || !next || (record.kind === 'refused' && !finishing)
    const of = { organizationId: recording.organizationId, meetingId: meeting.id, recordingId }
    const told: Coverage = { ...coverage, final }
    const changed = !isDeepStrictEqual(recording.coverage, told)
    await saveCoverage(tx, recordingId, {
      coverage: told,
      ...(record.kind === 'read' && { conferences: record.conferences }),
    })
    if (final && record.kind === 'read') {
      await saveGooglePresences(tx, of, record.stays)
      if (!empty) await jobs.send(tx, 'import-native', { recordingId }, { key: recordingId })
    }
    const detail = tellCoverage(told, recording)
    const isLow = coverage.percent !== null && coverage.percent < config.coverage.alertPercent
    const { alertPercent: thresholdPercent } = config.coverage
    const raised = { actor: ACTOR, at: new Date(now), detail: { ...detail, thresholdPercent } }
    const alert = decided && isLow && (await raiseCoverageAlert(tx, of, raised))
    if (alert) {
      await announceCoverageAlert(tx, recording, { coverage: told, thresholdPercent, at: new Date(now) })
      log.error(
        { meeting: meeting.id, ...detail },
        coverage.recordedMs === 0 ? 'MEETING HELD AND NOT RECORDED' : 'MEETING NOT RECORDED WHOLE',
      )
    } else log.info({ look, percent: coverage.percent, source: coverage.source, final }, 'coverage')
    if (alert || (decided && changed))
      await auditCoverage(tx, of, { actor: ACTOR, detail: { ...detail, alert } })
    return final ? 'final' : next ? 'waiting' : 'given_up'
  })
}

/** `refused`: Google will not say, until somebody changes something. `silent`: it did not answer this time. */
type Answer = ({ kind: 'read' } & ConferenceReading) | { kind: 'refused' } | { kind: 'silent' }

async function askForRecord(
  { config, google, log }: CoverageDeps,
  meeting: Meeting,
  attempts: readonly Attempt[],
  signal: AbortSignal,
): Promise<Answer> {
  // Never made at Google's: there is nothing to ask for.
  if (!meeting.spaceName && !meeting.meetingCode) return { kind: 'refused' }
  const accounts = [
    ...attempts.flatMap(({ botAccount }) => botAccount ?? []),
    ...[config.bot.email, config.bot.second.email].flatMap(email => email ?? []),
  ]
  const { organizer, spaceName, meetingCode, startsAt, endsAt } = meeting
  const longestMs = (meeting.patience.longestExtraSeconds ?? config.patience.longestExtraSeconds) * 1000
  const until = new Date(endsAt.getTime() + longestMs)
  try {
    const bots = { accounts, guestName: config.bot.name }
    const isBot = await learnBots(google.records, bots, { log, signal })
    const plan = { organizer, spaceName, meetingCode, startsAt, until }
    return { kind: 'read', ...(await readConferences(google.records, plan, isBot, signal)) }
  } catch (error) {
    if (!(error instanceof GoogleFault)) throw error
    const { code, reason, retryable } = error
    log.warn({ code, reason, error: error.message }, "Google's record of the conference could not be read")
    return { kind: retryable ? 'silent' : 'refused' }
  }
}

type Stays = Awaited<ReturnType<typeof listStays>>

/** Whether a reading says what an earlier, final one said, which is stored. */
function isStored(
  { conferences, stays }: ConferenceReading,
  recording: Recording,
  stored: Stays['google'],
): boolean {
  const known = stored.map(row => [row.personKey, row.joinedAt.getTime(), row.leftAt?.getTime()])
  const read = stays.map(({ key, from, to }) => [key, from.getTime(), to?.getTime()])
  const inOrder = (rows: typeof known) => rows.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  return (
    stored.length > 0 &&
    isDeepStrictEqual(recording.conferences, conferences) &&
    isDeepStrictEqual(inOrder(known), inOrder(read))
  )
}

/**
 * By Google's record, or by what is kept of it; where it says nothing of a call in which the bot saw people, by what the
 * bot saw.
 */
function coverageOf(
  config: Config,
  recording: Recording,
  record: Answer,
  stays: Stays,
  now: number,
): Omit<Coverage, 'final'> {
  const compute = (humans: readonly Interval[]) =>
    computeCoverage({
      humans,
      timeline: recording.timeline ?? [],
      gaps: recording.gaps ?? [],
      withoutFile: recording.ending ?? 'missed',
    })
  const intervals = (rows: Stays['bot']) =>
    rows.map(({ joinedAt, leftAt }) => ({ from: joinedAt.getTime(), to: leftAt?.getTime() ?? now }))
  const seen = intervals(stays.bot.filter(({ bot, name }) => !bot && !isBotTile(name, config.bot.name)))
  if (record.kind === 'read' && (record.conferences.length > 0 || seen.length === 0))
    return { source: 'google', ...compute(humanIntervals(record, now)) }
  const kept = intervals(stays.google.filter(({ bot }) => !bot))
  if (record.kind !== 'read' && stays.google.length > 0) return { source: 'google', ...compute(kept) }
  return { source: 'bot', ...compute(seen) }
}

/** The coverage for the log, the alert and the audit log; a call torn to pieces is not listed to the end. */
function tellCoverage(coverage: Coverage, { status, revision }: Recording): Record<string, unknown> {
  const gaps = coverage.gaps.toSorted((a, b) => b.ms - a.ms).slice(0, MOST_GAPS_TOLD)
  return { ...coverage, gaps, gapCount: coverage.gaps.length, status, revision }
}
