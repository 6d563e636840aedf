import { dueReminders, nextReminder } from '../../calendar/reminders.ts'
import { type Clock, repeat } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import { mailPeople } from '../../db/mails.ts'
import { listInvited } from '../../db/meetings.ts'
import { lockMeetingsToRemind, noteNextReminder } from '../../db/reminders.ts'
import type { Log } from '../../log.ts'

interface RemindDeps {
  db: Database
  clock: Clock
  log: Log
  /** How often to look; ten seconds unless given. */
  lookEveryMs?: number
}

const LOOK_EVERY_MS = 10_000
const AT_ONCE = 50

/**
 * Writes the mails of reminders that are due to everybody invited, each once, until closed. What fell due while no
 * process was there is written as long as the meeting has not begun.
 */
export function startReminding(deps: RemindDeps): { close(graceMs: number): Promise<void> } {
  const { log, lookEveryMs = LOOK_EVERY_MS } = deps
  return repeat(
    lookEveryMs,
    async () => {
      await remindAll(deps)
      return 'pause'
    },
    error => log.error({ error }, 'reminders that are due could not be written'),
  )
}

/** Writes what is due now. @returns how many mails were new */
export async function remindAll({ db, clock }: Pick<RemindDeps, 'db' | 'clock'>): Promise<number> {
  let written = 0
  for (let more = true; more; )
    more = await db.transaction(async tx => {
      const now = new Date(clock.now())
      const rows = await lockMeetingsToRemind(tx, now, AT_ONCE)
      for (const meeting of rows) {
        const { id, organizationId, startsAt, endsAt, timeZone, status } = meeting
        const times = { start: startsAt, timeZone }
        const rules =
          status === 'cancelled' ? [] : meeting.reminders.filter(({ channel }) => channel === 'email')
        // It stands at what is due next, or where the reminders were settled: nothing before it is meant.
        const after = new Date((meeting.nextReminderAt ?? now).getTime() - 1)
        for (const { key } of dueReminders(rules, times, { after, now })) {
          const people = (await listInvited(tx, id)).map(({ email }) => email)
          const about = { organizationId, meetingId: id, kind: 'meeting.alarm' } as const
          const facts = { startsAt: startsAt.toISOString() }
          written += await mailPeople(
            tx,
            { ...about, facts, onceKey: `alarm:${id}:${key}`, uselessAt: endsAt },
            people,
          )
        }
        await noteNextReminder(tx, id, nextReminder(rules, times, now)?.dueAt ?? null)
      }
      return rows.length === AT_ONCE
    })
  return written
}
