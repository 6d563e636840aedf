// Whether Google's own record shows a person in the call now: the second signal of "everybody left".
import type { Google } from '../google/google.ts'
import type { Log } from '../log.ts'
import { type IsBot, learnBots } from './known-bots.ts'
import type { AskGoogle } from './meet-page/google-word.ts'

/**
 * Makes the question that `watchCall` asks now and then. `unknown` while there is no record of a running conference:
 * then nothing is known, as the bot itself is in the call.
 */
export function askGoogleWhoIsThere(
  google: Pick<Google, 'records'>,
  meeting: { organizer: string; spaceName: string | null; meetingCode: string | null },
  bots: { accounts: readonly string[]; guestName: string },
  { log, signal }: { log: Log; signal?: AbortSignal },
): AskGoogle {
  const { records } = google
  const { organizer, spaceName, meetingCode } = meeting
  let isBot: IsBot | undefined
  return async () => {
    if (!spaceName && !meetingCode) return 'unknown'
    isBot ??= await learnBots(records, bots, { log, ...(signal && { signal }) })
    const running = await records.listConferences(
      organizer,
      { spaceName, meetingCode, ongoing: true },
      signal,
    )
    if (running.length === 0) return 'unknown'
    for (const { name } of running) {
      const present = await records.listParticipants(organizer, name, { presentOnly: true, signal })
      if (present.some(person => person.leftAt === null && !isBot?.(person))) return true
    }
    return false
  }
}
