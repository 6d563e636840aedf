// What to do next on the way into a call: a pure decision from the screen, what happened so far, and the time.
import type { Ending } from '../../db/endings.ts'
import { hasAnyPhrase, isAnyPhrase } from './match-text.ts'
import type { Screen } from './screen.ts'
import { isSameAccount, type SignedIn } from './signed-in.ts'
import type { ElementPlace, MuteToggle, Snapshot } from './snapshot.ts'
import { DEVICE_MISSING, NAME_FIELD, SELECTORS } from './words.ts'

/** Whether the bot's microphone or camera still has to be switched off: it is on, and the machine has such a device. */
export function togglesToMute(snapshot: Snapshot): MuteToggle[] {
  return snapshot.toggles.filter(
    toggle =>
      !toggle.muted &&
      !hasAnyPhrase(toggle.label, DEVICE_MISSING) &&
      !hasAnyPhrase(toggle.text, DEVICE_MISSING),
  )
}

/** `email` null: whoever is signed in in the profile. */
export type JoinAs = { kind: 'guest'; name: string } | { kind: 'signed_in'; email: string | null }

export interface JoinLimits {
  /** How long the page may take to show something. */
  pageLoadMs: number
  /** How long one request to join is waited for before knocking again; Meet itself drops it after 600 s. */
  waitingRoomMs: number
  /** How long a screen may stay unknown. */
  unknownScreenMs: number
  /** How long the page may not answer. Default 20 s: its start may keep it busy. */
  frozenMs?: number
  /** Pauses before trying again after "You can't join this video call" or a code not known. Default 5 s, 15 s. */
  refusedPausesMs?: readonly number[]
}

/** What happened so far. Times are milliseconds since the epoch. */
export interface JoinMemory {
  /** Since when the screen has been of this kind. */
  since: number
  /** When the page was last asked for. */
  loadedAt: number
  /** When the current knock was first seen in the waiting room; null outside it. */
  knockedAt: number | null
  knocks: number
  joinPresses: number
  lastJoinPressAt: number
  mutePresses: number
  nameTyped: number
  /** How often the list of other ways to join was opened. */
  listsOpened: number
  /** How often each refusal was answered by loading again. */
  reloads: number
}

export const freshMemory = (now: number): JoinMemory => ({
  since: now,
  loadedAt: now,
  knockedAt: null,
  knocks: 0,
  joinPresses: 0,
  lastJoinPressAt: 0,
  mutePresses: 0,
  nameTyped: 0,
  listsOpened: 0,
  reloads: 0,
})

export type JoinStep =
  | { do: 'wait' }
  | { do: 'mute'; place: ElementPlace }
  | { do: 'type_name'; place: ElementPlace; name: string }
  | { do: 'open_list'; place: ElementPlace }
  | { do: 'join'; place: ElementPlace; why: string }
  | { do: 'load_again'; afterMs: number; why: 'refused' | 'knock_again' }
  | { do: 'joined' }
  | { do: 'end'; ending: Ending; why: string; keepArtefacts: boolean }

export interface JoinQuestion {
  screen: Screen
  snapshot: Snapshot
  memory: JoinMemory
  as: JoinAs
  /** An earlier bot of the same account is to stay in the call: "Join here too" instead of "Switch here". */
  beside: boolean
  signedIn: SignedIn
  limits: JoinLimits
  giveUpAt: number
  now: number
}

const MOST_PRESSES = 4
const PRESS_AGAIN_MS = 8_000
const MOST_MUTE_PRESSES = 6
const MOST_NAMES_TYPED = 3
/** What an opened list holds comes a moment later. */
const LIST_OPENS_MS = 1_500
const REFUSED_PAUSES_MS = [5_000, 15_000]

const end = (ending: Ending, why: string, keepArtefacts = true): JoinStep => ({
  do: 'end',
  ending,
  why,
  keepArtefacts,
})
const WAIT: JoinStep = { do: 'wait' }

/** The next step. Dialogs are answered before this is asked. */
export function nextJoinStep(question: JoinQuestion): JoinStep {
  const { screen, memory, now, limits, giveUpAt } = question
  switch (screen.kind) {
    case 'in_call':
      return { do: 'joined' }
    case 'pre_join':
      return beforeJoining(question, screen)
    case 'waiting_room':
      if (now >= giveUpAt)
        return end('waiting_room_timeout', 'nobody let the bot in until the time to give up', false)
      return memory.knockedAt !== null && now - memory.knockedAt >= limits.waitingRoomMs
        ? { do: 'load_again', afterMs: 0, why: 'knock_again' }
        : WAIT
    case 'lobby_timeout':
      return now >= giveUpAt
        ? end('waiting_room_timeout', 'nobody answered the request to join', false)
        : { do: 'load_again', afterMs: 0, why: 'knock_again' }
    case 'denied':
      return end('join_denied', 'the request to join was denied')
    case 'cannot_join':
      return tryAgain(question, 'cannot_join')
    case 'not_found':
      return tryAgain(question, 'meeting_not_found')
    case 'no_page':
    case 'connection_lost':
      return tryAgain(question, 'page_not_reached')
    case 'home':
    case 'left':
      return tryAgain(question, 'unknown_screen')
    case 'sign_in':
      return end('sign_in_required', 'Google asks for a sign-in')
    case 'removed':
      return end('removed_from_call', 'removed while joining')
    case 'switched':
      return end('switched_elsewhere', 'the account was switched to another device while joining')
    case 'ended':
      return end(screen.everyoneLeft ? 'everyone_left' : 'call_ended_by_host', 'the call ended while joining')
    case 'full_or_locked':
      return end('meeting_full_or_locked', 'the call is full or locked')
    case 'loading':
      return now - Math.max(memory.since, memory.loadedAt) >= limits.pageLoadMs
        ? end('page_not_reached', 'the page did not get past loading')
        : WAIT
    case 'unknown':
      return now - memory.since >= limits.unknownScreenMs
        ? end('unknown_screen', 'a screen the bot does not know')
        : WAIT
  }
}

/** Meet refuses and admits a minute later (meet-dom-structures.md §7.2), so a refusal is asked again a few times. */
function tryAgain({ memory, limits, now, giveUpAt }: JoinQuestion, ending: Ending): JoinStep {
  const afterMs = (limits.refusedPausesMs ?? REFUSED_PAUSES_MS)[memory.reloads]
  if (afterMs === undefined || now + afterMs >= giveUpAt)
    return end(ending, `refused ${memory.reloads + 1} times`)
  return { do: 'load_again', afterMs, why: 'refused' }
}

function beforeJoining(question: JoinQuestion, screen: Extract<Screen, { kind: 'pre_join' }>): JoinStep {
  const { snapshot, memory, as, limits, now, giveUpAt } = question
  const wrongAccount = as.kind === 'signed_in' ? accountProblem(snapshot, as.email, question.signedIn) : null
  if (wrongAccount !== null) return end('bot_not_signed_in', wrongAccount)
  if (now >= giveUpAt) return end('waiting_room_timeout', 'the time to give up came before joining', false)

  const [unmuted] = togglesToMute(snapshot)
  if (unmuted && memory.mutePresses < MOST_MUTE_PRESSES) return { do: 'mute', place: unmuted }

  const { nameInput } = snapshot
  if (
    as.kind === 'guest' &&
    nameInput !== null &&
    nameInput.value !== as.name &&
    memory.nameTyped < MOST_NAMES_TYPED
  ) {
    return { do: 'type_name', place: nameInput, name: as.name }
  }
  const stuck = now - memory.since >= limits.unknownScreenMs
  const join = question.beside ? (screen.beside ?? screen.join) : screen.join
  if (join.disabled) return stuck ? end('unknown_screen', 'the join button stays disabled') : WAIT
  if (memory.joinPresses > 0 && now - memory.lastJoinPressAt < PRESS_AGAIN_MS) return WAIT
  if (memory.joinPresses >= MOST_PRESSES) return end('unknown_screen', 'the join button does nothing')
  // Only where the list does not have it either the earlier bot's seat is taken over.
  if (question.beside && join.kind === 'switch' && screen.otherWays !== null) {
    if (memory.listsOpened === 0) return { do: 'open_list', place: screen.otherWays }
    if (now - memory.since < LIST_OPENS_MS) return WAIT
  }
  return { do: 'join', place: join.place, why: join.kind }
}

/** A sentence when the page does not belong to the bot's account; null when nothing speaks against it. */
function accountProblem(snapshot: Snapshot, email: string | null, signedIn: SignedIn): string | null {
  if (asksForName(snapshot)) return 'Meet asks for a name, so nobody is signed in'
  if (snapshot.anonymous === true) return 'Meet takes the bot for an anonymous guest'
  if (email === null) return null
  const shown = snapshot.emails
  const sure = signedIn.kind === 'accounts' && signedIn.accounts.length === 1
  // The page may show somebody else's address; it decides only where Google has not already named the one account.
  if (!sure && shown.length > 0 && !shown.some(other => isSameAccount(other, email))) {
    return `Meet shows the account ${shown[0]}, not ${email}`
  }
  return null
}

function asksForName({ nameInput }: Snapshot): boolean {
  if (nameInput === null) return false
  const { jsname, label, placeholder } = nameInput
  return (
    jsname === SELECTORS.nameInputJsname || [label, placeholder].some(text => isAnyPhrase(text, NAME_FIELD))
  )
}
