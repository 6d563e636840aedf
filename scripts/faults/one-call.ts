import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asc, eq } from 'drizzle-orm'
import { systemClock, TimedOut } from '../../clock.ts'
import { attempts, recordings } from '../../db/schema.ts'
import { isOver, type MeetingAnswer, type RecordingAnswer } from '../../sandbox/journeys/stage.ts'
import type { MeetingEvent } from '../../sandbox/meet-web/event-log.ts'
import type { Meeting as SimulatedCall } from '../../sandbox/meet-web/meeting.ts'
import type { Calls } from '../../sandbox/start.ts'
import { type PatternReport, readPattern } from '../../sandbox/test-pattern/read-pattern.ts'
import { coveredTimes, heardShare, holesIn, longestRepeatMs, type Stretch } from './covered.ts'
import type { Ground } from './ground.ts'
import { type FaultTimes, inSeconds, measureHoles } from './holes.ts'
import type { Seen } from './row.ts'

export type AttemptRow = typeof attempts.$inferSelect

/** A meeting of a row, from the request to the measured file. */
export interface OneCall {
  meeting: MeetingAnswer
  recordingId: string
  call: SimulatedCall
  /** All attempts so far. */
  attempts(): Promise<AttemptRow[]>
  /** The attempt that is in the call. */
  living(): Promise<AttemptRow>
  /** Waits until an attempt with a number over `after` is in the call. */
  recordsAgain(after: number, limitMs?: number): Promise<AttemptRow>
  /** Waits until a bot comes into the call, or its page comes back, after that time. */
  inCallAgain(afterMs: number, limitMs?: number): Promise<void>
  /** The call goes on for so long. */
  goesOn(ms: number): Promise<void>
  /** The host ends the call. */
  end(): void
  /** Waits for the outcome, downloads the file and measures it. */
  measure(expected: Expected): Promise<Seen>
}

export interface Expected extends FaultTimes {
  /** Words of the recording's ending that are right; `call_ended_by_host` when absent. */
  endings?: readonly string[]
  /** How the attempts must have ended, first to last; not looked at when absent. */
  attempts?: readonly (string | readonly string[])[]
  /** From when on pictures could have been recorded; the bot's first entry when absent. */
  fromMs?: number
  /** Must the hole be explained by a gap? Not where nothing could be recorded yet. */
  explained?: boolean
  /** What the recording must give as the reason of its gap, if it has one. */
  reasons?: readonly string[]
  limitMs?: number
}

/** What the simulated Meet says of a visitor who is in the call from then on. */
const COMING_IN = new Set(['joined', 'resumed'])
const RECORDING_LIMIT_MS = 60_000
const OUTCOME_LIMIT_MS = 120_000
const LOOK_MS = 200
/** Before the fault: time enough that earlier segments are in the bucket. */
const BEFORE_FAULT_MS = 6_000
/** Everybody's first picture may come so long after the bot's entry, and the last one so long before the call's end. */
const HEAD_MS = 5_000
const TAIL_MS = 2_500
const LEAST_HEARD = 0.8
const MOST_REPEATED_MS = 400
const MOST_CLOCK_ERROR_MS = 8_000

/** Posts a meeting that is on now and waits until it has been recorded for some seconds. */
export async function recordedCall(
  ground: Ground,
  title: string,
  { beforeFaultMs = BEFORE_FAULT_MS, ...more }: { calls?: Calls; beforeFaultMs?: number } = {},
): Promise<OneCall> {
  const one = await postCall(ground, title, more)
  await one.recordsAgain(0)
  await one.goesOn(beforeFaultMs)
  return one
}

/** Posts a meeting that is on now, or begins soon. */
export async function postCall(
  ground: Ground,
  title: string,
  { calls = {}, ...more }: { calls?: Calls; startsInSeconds?: number; redundancy?: 1 | 2 } = {},
): Promise<OneCall> {
  ground.plan(title, calls)
  return followCall(ground, title, await ground.stage.post(title, 3_600, more))
}

/** Takes up a meeting that has been posted. */
export async function followCall(ground: Ground, title: string, meeting: MeetingAnswer): Promise<OneCall> {
  const { stage } = ground
  const call = stage.call(meeting)
  const [row] = await stage.db
    .select({ id: recordings.id })
    .from(recordings)
    .where(eq(recordings.meetingId, meeting.id))
  if (!row) throw new Error(`${title}: the meeting has no recording`)
  let endedAtMs = 0
  const all = () =>
    stage.db.select().from(attempts).where(eq(attempts.recordingId, row.id)).orderBy(asc(attempts.number))
  return {
    meeting,
    recordingId: row.id,
    call,
    attempts: all,
    async living() {
      const found = (await all()).findLast(attempt => attempt.endedAt === null)
      if (!found) throw new Error(`${title}: no attempt is alive`)
      return found
    },
    recordsAgain: (after, limitMs = RECORDING_LIMIT_MS) =>
      until(`${title}: recording`, limitMs, async () =>
        (await all()).find(attempt => attempt.number > after && attempt.admittedAt && !attempt.endedAt),
      ),
    async inCallAgain(afterMs, limitMs = RECORDING_LIMIT_MS) {
      const back = (event: MeetingEvent) => COMING_IN.has(event.type) && event.atMs >= afterMs
      await call.waitFor(back, limitMs)
    },
    goesOn: ms => systemClock.sleep(ms),
    end() {
      endedAtMs = Date.now()
      call.end()
    },
    async measure(expected) {
      const recording = await stage.until(meeting, isOver, expected.limitMs ?? OUTCOME_LIMIT_MS)
      const [stored] = await stage.db.select().from(recordings).where(eq(recordings.id, row.id))
      const facts = {
        recording,
        attempts: await all(),
        gaps: (stored?.gaps ?? []).map(gap => gap.reason),
        joinedAtMs: call.events.find(event => event.type === 'joined')?.atMs ?? 0,
        endedAtMs,
      }
      const file = await download(recording, join(ground.dir, `${meeting.id}.mp4`))
      if (file === undefined) return drawUp(undefined, facts, expected)
      const report = await readPattern(file)
      await rm(file)
      return drawUp(report, facts, expected)
    },
  }
}

/** Looks until there is something to give. */
export async function until<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const startedAt = performance.now()
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() - startedAt > limitMs) throw new TimedOut(what, limitMs)
    await systemClock.sleep(LOOK_MS)
  }
}

interface Facts {
  recording: RecordingAnswer
  attempts: AttemptRow[]
  gaps: string[]
  joinedAtMs: number
  endedAtMs: number
}

function drawUp(report: PatternReport | undefined, facts: Facts, expected: Expected): Seen {
  const { recording } = facts
  const ending = recording.ending?.word ?? 'none'
  const endings = facts.attempts.map(attempt => attempt.ending ?? 'none')
  const why: string[] = []
  if (!(expected.endings ?? ['call_ended_by_host']).includes(ending)) why.push(`it ended with "${ending}"`)
  if (expected.attempts && !sameEndings(endings, expected.attempts))
    why.push(`its attempts ended with ${endings.join(', ')}, not ${expected.attempts.flat().join(', ')}`)
  const failedChecks = Object.entries(recording.checks ?? {}).flatMap(([name, check]) =>
    check.ok ? [] : [`${name}: ${check.detail}`],
  )
  const base = { ending, status: recording.status, attempts: endings, gaps: facts.gaps, failedChecks, why }
  if (recording.drive.status !== 'uploaded') why.push(`its copy in Drive is "${recording.drive.status}"`)
  if (!report) {
    why.push('there is no file')
    const lost = inSeconds(facts.endedAtMs - facts.joinedAtMs)
    return { ...base, holes: [], lostSeconds: lost, recoverySeconds: lost }
  }
  const near = facts.joinedAtMs
  const whole = { fromMs: expected.fromMs ?? facts.joinedAtMs, toMs: facts.endedAtMs }
  const stretches = coveredTimes(report, near)
  const holes = holesIn(whole, stretches).filter(
    hole => !isEdge(hole, whole, expected.fromMs === undefined ? HEAD_MS : 0),
  )
  const measured = measureHoles(holes, expected)
  if (
    expected.explained !== false &&
    measured.recoverySeconds > 0 &&
    !facts.gaps.some(gap => !expected.reasons || expected.reasons.includes(gap))
  )
    why.push(`no gap of it is explained by ${expected.reasons?.join(' or ') ?? 'anything'}`)
  if (heardShare(report, stretches, near) < LEAST_HEARD)
    why.push(`only ${Math.round(heardShare(report, stretches, near) * 100)} % of the beeps are heard`)
  why.push(...clockTimes(facts))
  const repeatMs = longestRepeatMs(report)
  if (repeatMs > MOST_REPEATED_MS) why.push(`${repeatMs} ms are in the file twice`)
  const sinceFault = (ms: number) => inSeconds(ms - expected.faultAtMs)
  return {
    ...base,
    ...measured,
    holes: holes.map(({ fromMs, toMs }): [number, number] => [sinceFault(fromMs), sinceFault(toMs)]),
  }
}

/** Are the times that the recording states those of the real clock? */
function clockTimes({ recording, joinedAtMs, endedAtMs }: Facts): string[] {
  const off = (what: string, stated: string | null, realMs: number) => {
    const aheadMs = Date.parse(stated ?? '') - realMs
    return Math.abs(aheadMs) <= MOST_CLOCK_ERROR_MS
      ? []
      : [`it says that it ${what} at ${stated}, ${inSeconds(aheadMs)} s from the real time`]
  }
  return [...off('began', recording.startedAt, joinedAtMs), ...off('ended', recording.endedAt, endedAtMs)]
}

/** The bot needs a moment to begin, and the last pictures are still on their way when the call ends. */
const isEdge = (hole: Stretch, whole: Stretch, headMs: number) =>
  hole.toMs - hole.fromMs <= (hole.fromMs === whole.fromMs ? headMs : hole.toMs === whole.toMs ? TAIL_MS : 0)

function sameEndings(endings: readonly string[], expected: readonly (string | readonly string[])[]): boolean {
  return (
    endings.length === expected.length &&
    endings.every((ending, index) => [expected[index]].flat().includes(ending))
  )
}

/** Fetches the file through its link; nothing without one. */
async function download(recording: RecordingAnswer, file: string): Promise<string | undefined> {
  if (!recording.s3) return undefined
  const answer = await fetch(recording.s3.url, { signal: AbortSignal.timeout(60_000) })
  if (!answer.ok) throw new Error(`the link of the recording answers ${answer.status}`)
  const body = Buffer.from(await answer.arrayBuffer())
  if (createHash('sha256').update(body).digest('hex') !== recording.sha256)
    throw new Error('the file behind the link is not the one that was recorded')
  await writeFile(file, body)
  return file
}
