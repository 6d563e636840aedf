import type { Account } from './accounts.ts'
import type { MeetingSettings } from './scenarios.ts'

/** What the page needs to know to draw itself; sent once, when its socket opens. */
export function pageModel(
  code: string,
  settings: MeetingSettings,
  account: Account | null,
  sameAccountInCall: boolean,
) {
  return { ...settings, code, account, joinButtons: joinButtons(settings, account, sameAccountInCall) }
}

/** Which join controls the green room offers, the main one first: meet-web-facts.md §3.3. */
function joinButtons(
  settings: MeetingSettings,
  account: Account | null,
  sameAccountInCall: boolean,
): string[] {
  const { joinText, access, invited } = settings
  if (joinText === 'switch-here' || sameAccountInCall) return ['switchHere', 'joinHereToo']
  if (joinText === 'join-anyway') return ['joinAnyway']
  const isInvited =
    account !== null && invited.some(email => email.toLowerCase() === account.email.toLowerCase())
  return access === 'open' || isInvited ? ['joinNow'] : ['askToJoin']
}
