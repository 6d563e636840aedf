import type { Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingRow } from '../db/meetings.ts'

/** Has a recorder woken in time for a meeting: anew where it was moved. @param now milliseconds since 1970 */
export async function sendBot(
  { jobs, settings }: { jobs: Pick<OpenJobs, 'send'>; settings: { joinLeadSeconds: number } },
  tx: Transaction,
  meeting: Pick<MeetingRow, 'id' | 'patience' | 'startsAt'>,
  now: number,
): Promise<void> {
  const leadSeconds = meeting.patience.joinLeadSeconds ?? settings.joinLeadSeconds
  const startAfter = new Date(Math.max(now, meeting.startsAt.getTime() - leadSeconds * 1000))
  await jobs.send(tx, 'record-meeting', { meetingId: meeting.id }, { key: meeting.id, startAfter })
}
