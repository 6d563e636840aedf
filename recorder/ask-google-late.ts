import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Meeting } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import type { AskGoogle } from './meet-page/google-word.ts'

/**
 * Google's word on who is in the call, for a recording's own process: Google's client takes 50 MB of memory, so it is
 * loaded when the page first shows nobody, and never in most calls.
 */
export function askGoogleLate(
  { config, clock, log }: { config: Config; clock: Clock; log: Log },
  meeting: Pick<Meeting, 'organizer' | 'spaceName' | 'meetingCode'>,
): AskGoogle {
  const { keyFile, serviceAccount } = config.google
  let ask: Promise<AskGoogle> | undefined
  const load = async (): Promise<AskGoogle> => {
    const { createGoogle } = await import('../google/google.ts')
    const { askGoogleWhoIsThere } = await import('./ask-google.ts')
    const accounts = [config.bot.email, config.bot.second.email].flatMap(email => email ?? [])
    const bots = { accounts, guestName: config.bot.name }
    return askGoogleWhoIsThere(createGoogle(config.google, { log, clock }), meeting, bots, { log })
  }
  return async () => {
    if (!keyFile && !serviceAccount) return 'unknown'
    ask ??= load()
    return await (await ask)()
  }
}
