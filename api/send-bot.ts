import type { Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingRow } from '../db/meetings.ts'

/** Has a recorder woken in time for a meeting: anew where it was moved. @param now milliseconds since 1970 */
export function sendBot(
  deps: { jobs: Pick<OpenJobs, 'sendMany'>; settings: { joinLeadSeconds: number } },
  tx: Transaction,
  meeting: Pick<MeetingRow, 'id' | 'patience' | 'startsAt'>,
  now: number,
): Promise<void> {
  return sendBots(deps, tx, [meeting], now)
}

/** The same for many meetings at once. */
export function sendBots(
  { jobs, settings }: { jobs: Pick<OpenJobs, 'sendMany'>; settings: { joinLeadSeconds: number } },
  tx: Transaction,
  meetings: readonly Pick<MeetingRow, 'id' | 'patience' | 'startsAt'>[],
  now: number,
): Promise<void> {
  const wakings = meetings.map(({ id, patience, startsAt }) => {
    const leadSeconds = patience.joinLeadSeconds ?? settings.joinLeadSeconds
    const startAfter = new Date(Math.max(now, startsAt.getTime() - leadSeconds * 1000))
    return { payload: { meetingId: id }, key: id, startAfter }
  })
  return jobs.sendMany(tx, 'record-meeting', wakings)
}
