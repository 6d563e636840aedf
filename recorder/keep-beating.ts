import type { Clock } from '../clock.ts'
import { withTimeout } from '../clock.ts'
import type { Config } from '../config.ts'
import { beat } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import type { Meeting } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import { isTooEarly } from './due.ts'

/** Time from one sign of life of an attempt to the next. */
export const BEAT_MS = 3_000
const BEAT_LIMIT_MS = 20_000

/** Signs of life until `over`; a cancelled meeting, a lost lease or a relief that has come stops the visit. */
export async function keepBeating(
  deps: { config: Config; db: Database; clock: Clock; log: Log; clockOffsetMs: number },
  attemptId: string,
  over: AbortSignal,
  tell: { stop(ending: Ending): void; meeting(meeting: Meeting): void },
): Promise<void> {
  const { config, db, clock, log, clockOffsetMs } = deps
  while (!over.aborted) {
    try {
      const answer = await withTimeout(beat(db, attemptId, clockOffsetMs), BEAT_LIMIT_MS, 'a sign of life')
      if (answer.kind === 'lost') tell.stop('recorder_died')
      else if (answer.relieved) tell.stop('handed_over')
      // Cancelled, or moved away while the bot waits for it: the meeting's own job follows the new time.
      else if (answer.meeting.status === 'cancelled' || isTooEarly(answer.meeting, config, clock.now()))
        tell.stop('left_by_request')
      else tell.meeting(answer.meeting)
    } catch (error) {
      // The database may be away for a while; the call goes on and the next sign of life is tried anyway.
      log.warn({ error }, 'no sign of life could be written')
    }
    await clock.sleep(BEAT_MS, over).catch(() => undefined)
  }
}
