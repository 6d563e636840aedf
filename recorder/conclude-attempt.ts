import { eq, inArray } from 'drizzle-orm'
import type { Config } from '../config.ts'
import { type Attempt, closeAttempt, listAttempts, lockRecording } from '../db/attempts.ts'
import { noteAudit } from '../db/audit-notes.ts'
import type { Transaction } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import { endMeeting, findRecording, hasMedia, type Meeting, moveRecording } from '../db/recordings.ts'
import { attempts, presences } from '../db/schema.ts'
import { isFinal } from '../db/states.ts'
import { hardStopAt, isTooEarly } from './due.ts'
import { nextStep } from './next-step.ts'

/** What became of the recording when one of its attempts ended. */
export type Conclusion =
  /** Somebody else had closed the attempt: a returning zombie. Nothing was changed. */
  | { kind: 'lost' }
  /** Another attempt is recording. */
  | { kind: 'another_goes_on' }
  | { kind: 'again'; at: Date }
  | { kind: 'settled'; as: Settlement }

export type Settlement = 'finishing' | 'failed' | 'not_held' | 'cancelled'

/**
 * Closes an attempt and writes down what follows it, in one transaction: another attempt of its lane, nothing because
 * another one is recording, or the outcome. Whoever is alive calls it: the child at its end, the parent of a dead child,
 * the watcher of a silent one. The jobs that follow are sent by `sendOwed`, which reads the rows.
 */
export async function concludeAttempt(
  tx: Transaction,
  config: Config,
  attempt: Pick<Attempt, 'id' | 'recordingId' | 'recorder'>,
  facts: Parameters<typeof closeAttempt>[2],
  now: number,
): Promise<Conclusion> {
  // The recording first, as everybody who takes both: two orders would wait for each other.
  const recording = await lockRecording(tx, attempt.recordingId)
  if (!recording || !(await closeAttempt(tx, attempt.id, facts))) return { kind: 'lost' }
  const found = await findRecording(tx, { recordingId: recording.id })
  if (!found || isFinal(recording.status) || recording.status === 'finishing') return { kind: 'lost' }
  const { meeting } = found
  const all = await listAttempts(tx, recording.id)
  const mine = all.find(({ id }) => id === attempt.id)
  const living = all.filter(({ endedAt }) => endedAt === null)
  const actor = `recorder:${attempt.recorder}`
  if (facts.ending === 'removed_from_call')
    await noteAudit(tx, {
      organizationId: recording.organizationId,
      actor,
      action: 'bot.removed_from_call',
      subject: `recording:${recording.id}`,
      detail: { meetingId: recording.meetingId, attempt: mine?.number ?? null, at: facts.at },
    })
  if (!mine) return { kind: 'lost' }
  if (recording.status === 'recording' && !living.some(other => other.admittedAt)) {
    await moveRecording(tx, recording.id, 'interrupted', { actor, ending: facts.ending })
    if (living.length > 0) await moveRecording(tx, recording.id, 'joining', { actor })
  }
  if (living.some(other => other.lane === mine.lane)) return { kind: 'another_goes_on' }

  const lane = all.filter(other => other.lane === mine.lane)
  const step = await laneStep(tx, config, meeting, lane, now)
  // Another lane saw the call end: coming back would begin a new, empty one.
  if (step.kind === 'again' && !callIsOver(all)) {
    const at = new Date(now + step.delaySeconds * 1000)
    await tx.update(attempts).set({ retryAt: at }).where(eq(attempts.id, mine.id))
    if (living.length === 0)
      await moveRecording(tx, recording.id, 'interrupted', { actor, ending: facts.ending })
    return { kind: 'again', at }
  }
  await tx.update(attempts).set({ concluded: true }).where(eq(attempts.id, mine.id))
  if (living.length > 0) return { kind: 'another_goes_on' }
  return { kind: 'settled', as: await settleRecording(tx, { recordingId: recording.id, actor, now }) }
}

/** Has an attempt of any lane seen the call come to its own end? */
export function callIsOver(all: readonly Attempt[]): boolean {
  return all.some(({ concluded, ending }) => concluded && ending !== null && SEEN_TO_THE_END.has(ending))
}

const SEEN_TO_THE_END: ReadonlySet<Ending> = new Set([
  'call_ended_by_host',
  'everyone_left',
  'only_bots_left',
  'longest_call_reached',
])

const CLOCKS_DIFFER_MS = 5000

async function laneStep(
  tx: Transaction,
  config: Config,
  meeting: Meeting,
  lane: readonly Attempt[],
  now: number,
): Promise<ReturnType<typeof nextStep>> {
  const last = lane.at(-1)?.ending
  // Moved away while the bot was there: its lane goes on at the new time.
  if (last === 'left_by_request' && meeting.status !== 'cancelled' && isTooEarly(meeting, config, now))
    return { kind: 'again', delaySeconds: 0 }
  // Judged by the start that was known when the bot came: the meeting was put off by a little.
  const nobodyCameSeconds = meeting.patience.nobodyCameSeconds ?? config.patience.nobodyCameSeconds
  const isEarly = now < meeting.startsAt.getTime() + nobodyCameSeconds * 1000 - CLOCKS_DIFFER_MS
  if (last === 'nobody_came' && meeting.status !== 'cancelled' && isEarly)
    return { kind: 'again', delaySeconds: 0 }
  return nextStep({
    endings: lane.map(attempt => attempt.ending ?? 'recorder_died'),
    hasMedia: lane[0] !== undefined && (await hasMedia(tx, lane[0].recordingId)),
    wasIn: lane.some(attempt => attempt.admittedAt !== null),
    now,
    endsAt: meeting.endsAt.getTime(),
    hardStopAt: hardStopAt(meeting, config),
  })
}

/**
 * No more attempts: the recording is to be finished from its segments, or has its final word; the meeting is over.
 * @param facts.ending of a recording that never had an attempt
 */
export async function settleRecording(
  tx: Transaction,
  facts: { recordingId: string; actor: string; now: number; ending?: Ending },
): Promise<Settlement> {
  const { recordingId, actor, now } = facts
  const found = await findRecording(tx, { recordingId })
  if (!found) throw new Error(`recording ${recordingId} is not there`)
  const all = await listAttempts(tx, recordingId)
  const ended = all.toSorted((one, other) => (one.endedAt?.getTime() ?? 0) - (other.endedAt?.getTime() ?? 0))
  // How the call ended is told by who saw it end among people, rather than by who came into an empty one afterwards.
  const last = await whoSawTheEnd(tx, ended)
  const ending = facts.ending ?? last?.ending ?? 'missed'
  const { kind } = nextStep({
    endings: [ending],
    hasMedia: await hasMedia(tx, recordingId),
    wasIn: true,
    now: Number.POSITIVE_INFINITY,
    endsAt: 0,
    hardStopAt: 0,
  })
  const lastInCall = last?.admittedAt ? last.endedAt : null
  const settlement = outcome(kind, ending)
  await moveRecording(tx, recordingId, settlement, {
    actor,
    ending,
    ...(settlement === 'finishing' ? { set: { endedAt: lastInCall ?? new Date(now) } } : {}),
  })
  await endMeeting(tx, found.meeting.id, settlement === 'not_held' ? null : lastInCall)
  return settlement
}

function outcome(kind: ReturnType<typeof nextStep>['kind'], ending: Ending): Settlement {
  if (kind === 'finish') return 'finishing'
  if (ending === 'left_by_request') return 'cancelled'
  return kind === 'not_held' ? 'not_held' : 'failed'
}

async function whoSawTheEnd(tx: Transaction, ended: readonly Attempt[]): Promise<Attempt | undefined> {
  const met = await tx
    .selectDistinct({ attemptId: presences.attemptId })
    .from(presences)
    .where(
      inArray(
        presences.attemptId,
        ended.map(({ id }) => id),
      ),
    )
  const sawTheEnd = ended.filter(({ ending }) => ending !== null && SEEN_TO_THE_END.has(ending))
  const inCompany = sawTheEnd.filter(({ id }) => met.some(({ attemptId }) => attemptId === id))
  return inCompany.at(-1) ?? sawTheEnd.at(-1) ?? ended.at(-1)
}
