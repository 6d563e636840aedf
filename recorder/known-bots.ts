// Who in Google's records is no person: our own bot accounts, and what other companies send to take notes.
import type { ConferenceParticipant, Records } from '../google/conference-records.ts'
import { GoogleFault } from '../google/fault.ts'
import type { Log } from '../log.ts'
import { hasAnyPhrase, normalise } from './meet-page/match-text.ts'
import { BOT_NAMES } from './meet-page/words.ts'

export type IsBot = (person: Pick<ConferenceParticipant, 'displayName' | 'kind'>) => boolean

/**
 * Learns the names under which our bots stand in Google's records: the record shows display names, never addresses. A
 * guest with a bot's name is a bot too, as the bots of others come as guests; a signed-in person is one only under the
 * very name of one of our accounts, so that nobody is taken for a bot for being called Gong.
 * @param accounts addresses of our bots
 * @param guestName the name of our bot where it joins as a guest
 * @throws {GoogleFault} only what may pass
 */
export async function learnBots(
  records: Pick<Records, 'displayNameOf'>,
  { accounts, guestName }: { accounts: readonly string[]; guestName: string },
  { log, signal }: { log: Log; signal?: AbortSignal },
): Promise<IsBot> {
  const own = new Set([normalise(guestName)])
  for (const account of new Set(accounts)) {
    try {
      const name = await records.displayNameOf(account, signal)
      if (name) own.add(normalise(name))
    } catch (error) {
      if (!(error instanceof GoogleFault) || error.retryable) throw error
      log.warn({ account, code: error.code, reason: error.reason }, 'the name of a bot account is not known')
    }
  }
  return ({ displayName, kind }) =>
    own.has(normalise(displayName)) || (kind === 'anonymous' && hasAnyPhrase(displayName, BOT_NAMES))
}

/** Whether a tile that the bot saw belongs to a bot: the page does not tell guests from accounts. */
export function isBotTile(name: string | null, guestName: string): boolean {
  return name !== null && (hasAnyPhrase(name, BOT_NAMES) || normalise(name) === normalise(guestName))
}
