import type { Config } from '../config.ts'
import type { Patience } from '../db/schema.ts'
import type { MeetingStatus } from '../db/states.ts'

/** A job may come a little early, and clocks differ. */
const EARLY_MS = 60_000

type Planned = { startsAt: Date; patience: Patience }

/** When the bot of a meeting sets out; milliseconds since the epoch. */
export function dueAt(meeting: Planned, config: Config): number {
  return (
    meeting.startsAt.getTime() - (meeting.patience.joinLeadSeconds ?? config.patience.joinLeadSeconds) * 1000
  )
}

/** Was the meeting moved away from now? Its bot then waits for the new time. A call that is on already is never early. */
export function isTooEarly(
  meeting: Planned & { status: MeetingStatus },
  config: Config,
  now: number,
): boolean {
  return meeting.status !== 'in_progress' && now < dueAt(meeting, config) - EARLY_MS
}

/** Nobody records a call past this moment; milliseconds since the epoch. */
export function hardStopAt(meeting: { endsAt: Date; patience: Patience }, config: Config): number {
  const extraSeconds = meeting.patience.longestExtraSeconds ?? config.patience.longestExtraSeconds
  return meeting.endsAt.getTime() + extraSeconds * 1000
}
