import type { Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingRow } from '../db/meetings.ts'
import { recordJobKey } from '../db/stalled.ts'

/** What sending bots needs. */
export interface BotDeps {
  jobs: Pick<OpenJobs, 'sendMany'>
  settings: { joinLeadSeconds: number }
}

type Attended = Pick<MeetingRow, 'id' | 'patience' | 'startsAt' | 'redundancy'>

/** Has a recorder woken in time for a meeting: anew where it was moved. @param now milliseconds since 1970 */
export function sendBot(deps: BotDeps, tx: Transaction, meeting: Attended, now: number): Promise<void> {
  return sendBots(deps, tx, [meeting], now)
}

/** The same for many meetings at once, with a recorder for each bot that a meeting has. */
export function sendBots(
  { jobs, settings }: BotDeps,
  tx: Transaction,
  meetings: readonly Attended[],
  now: number,
): Promise<void> {
  const wakings = meetings.flatMap(({ id, patience, startsAt, redundancy }) => {
    const leadSeconds = patience.joinLeadSeconds ?? settings.joinLeadSeconds
    const startAfter = new Date(Math.max(now, startsAt.getTime() - leadSeconds * 1000))
    return Array.from({ length: redundancy }, (_, lane) => ({
      payload: { meetingId: id, ...(lane > 0 && { lane }) },
      key: recordJobKey(id, lane),
      startAfter,
    }))
  })
  return jobs.sendMany(tx, 'record-meeting', wakings)
}

/** Takes back that recorders are woken for a meeting; one that is being woken finds out by itself. */
export async function withdrawBot(
  jobs: Pick<OpenJobs, 'withdraw'>,
  tx: Transaction,
  { id, redundancy }: Pick<MeetingRow, 'id' | 'redundancy'>,
): Promise<void> {
  for (let lane = 0; lane < redundancy; lane++)
    await jobs.withdraw(tx, 'record-meeting', recordJobKey(id, lane))
}
