// Snapshot → which of Meet's screens it is. Structure first (meet-dom-structures.md §10), words second.

import { ENDED_AS_EMPTY, TERMINAL, type TerminalKind } from './end-words.ts'
import { hasAnyPhrase, isAnyPhrase } from './match-text.ts'
import type { ButtonSeen, ElementPlace, Snapshot } from './snapshot.ts'
import {
  ACCOUNTS_HOST,
  HOME_PATHS,
  IN_CALL_PANELS,
  JOIN_SUFFIXES,
  JOIN_TEXTS,
  type JoinKind,
  LOADING,
  MARKETING_HOST,
  MEET_HOST,
  ONLY_ONE_HERE,
  OTHER_WAYS_TO_JOIN,
  RECONNECTING,
  SIGN_IN,
  STARTUP_CODE_NOT_FOUND,
  WAITING_ROOM,
} from './words.ts'

interface JoinControl {
  /** `unknown`: found by structure, its words are not ours. */
  kind: JoinKind | 'unknown'
  place: ElementPlace
  disabled: boolean
}

export type Screen =
  | { kind: 'loading' }
  | {
      kind: 'pre_join'
      join: JoinControl
      /** "Join here too", where the account is in the call already. */
      beside: JoinControl | null
      /** Opens the list of other ways to join. */
      otherWays: ElementPlace | null
    }
  | { kind: 'waiting_room' }
  | { kind: 'in_call'; reconnecting: boolean; onlyOneHere: boolean; signals: readonly string[] }
  | { kind: 'ended'; everyoneLeft: boolean; startupCode: string | null }
  /** `gaveUp`: Meet shows its last screen; before that it still tries to reconnect. */
  | { kind: 'connection_lost'; gaveUp: boolean; startupCode: string | null }
  | { kind: Exclude<TerminalKind, 'ended' | 'connection_lost'>; startupCode: string | null }
  | { kind: 'sign_in' }
  | { kind: 'home' }
  | { kind: 'no_page' }
  | { kind: 'unknown' }

export type ScreenKind = Screen['kind']

/**
 * Names the screen. End screens are looked for before anything else, because parts of the call outlive it; the waiting
 * room before the call, because it has most of the call's parts; `in_call` needs two signals that agree.
 */
export function classifyScreen(snapshot: Snapshot): Screen {
  return (
    elsewhere(snapshot) ??
    terminal(snapshot) ??
    beforeOrInCall(snapshot) ??
    (isLoading(snapshot) ? { kind: 'loading' } : { kind: 'unknown' })
  )
}

/**
 * The same for a bot that has been let in: any trace of the call is then the call, unless words say otherwise. Its bars
 * fade out and stay empty while somebody presents (meet-web-facts.md §6), and a live call must not end for that.
 */
export function classifyInside(snapshot: Snapshot): Screen {
  const screen = classifyScreen(snapshot)
  if (screen.kind !== 'unknown' && screen.kind !== 'loading') return screen
  const traces = [
    ...callSignals(snapshot),
    snapshot.tiles.length > 0 ? 'tiles' : '',
    snapshot.hangUp ? 'hang_up' : '',
  ]
  const signals = traces.filter(trace => trace !== '')
  return signals.length === 0 ? screen : callScreen(snapshot, signals)
}

function elsewhere(snapshot: Snapshot): Screen | null {
  const url = URL.parse(snapshot.url)
  if (url === null || url.protocol === 'chrome-error:') return { kind: 'no_page' }
  if (url.protocol === 'about:') return { kind: 'loading' }
  if (url.hostname === ACCOUNTS_HOST) return { kind: 'sign_in' }
  if (url.hostname === MARKETING_HOST) return { kind: 'home' }
  if (url.hostname !== MEET_HOST) return { kind: 'unknown' }
  if (HOME_PATHS.includes(url.pathname)) return { kind: 'home' }
  return null
}

/** A screen outside the call; its words win over a hang-up button still in the page (meet-web-facts.md §5). */
function terminal(snapshot: Snapshot): Screen | null {
  const { startupCode } = snapshot
  if (startupCode === STARTUP_CODE_NOT_FOUND) return { kind: 'not_found', startupCode }
  const frame = startupCode !== null || (snapshot.callEnded && snapshot.toggles.length === 0)
  if (!frame && callSignals(snapshot).length >= 2) return null

  const words = [...(snapshot.toggles.length === 0 ? [snapshot.titleOrHeading] : []), ...ownWords(snapshot)]
  const joinable = findJoinControl(snapshot) !== null
  for (const { kind, texts } of TERMINAL) {
    // A green room can only tell of a refused or unanswered knock; other words there are a meeting's own title.
    if (joinable && !frame && kind !== 'denied' && kind !== 'lobby_timeout') continue
    if (!words.some(text => hasAnyPhrase(text, texts))) continue
    if (kind === 'ended') {
      return { kind, everyoneLeft: words.some(text => hasAnyPhrase(text, ENDED_AS_EMPTY)), startupCode }
    }
    if (kind === 'connection_lost') return { kind, gaveUp: frame, startupCode }
    return { kind, startupCode }
  }
  if (snapshot.connectionLost) return { kind: 'connection_lost', gaveUp: true, startupCode }
  return null
}

function beforeOrInCall(snapshot: Snapshot): Screen | null {
  const signals = callSignals(snapshot)
  const join = findJoinControl(snapshot)
  const words = ownWords(snapshot)
  if (signals.length < 2 && join === null && words.some(text => hasAnyPhrase(text, WAITING_ROOM))) {
    return { kind: 'waiting_room' }
  }
  if (signals.length >= 2) return callScreen(snapshot, signals)
  if (join !== null) {
    const beside = join.kind === 'switch' ? joinControlOf(snapshot, 'beside') : null
    const otherWays =
      joinButtons(snapshot).find(button => isAnyPhrase(button.text, OTHER_WAYS_TO_JOIN)) ?? null
    return { kind: 'pre_join', join, beside, otherWays }
  }
  if ([...snapshot.headings, ...snapshot.lines].some(text => hasAnyPhrase(text, SIGN_IN)))
    return { kind: 'sign_in' }
  return null
}

function callScreen(snapshot: Snapshot, signals: readonly string[]): Screen {
  const overlays = [...snapshot.alerts, ...snapshot.dialogs.map(dialog => dialog.text)]
  return {
    kind: 'in_call',
    reconnecting:
      overlays.some(text => hasAnyPhrase(text, RECONNECTING)) ||
      snapshot.lines.some(line => isAnyPhrase(line, RECONNECTING)),
    onlyOneHere: [...ownWords(snapshot), ...overlays].some(text => hasAnyPhrase(text, ONLY_ONE_HERE)),
    signals,
  }
}

const ownWords = (snapshot: Snapshot) => [...snapshot.headings, ...snapshot.lines]

/** What only a call shows and the waiting room does not (meet-web-facts.md §6; meet-dom-structures.md §4, §10.6). */
function callSignals(snapshot: Snapshot): string[] {
  const others = snapshot.tiles.filter(tile => !tile.own)
  return [
    snapshot.panels.some(panel => IN_CALL_PANELS.includes(panel)) ? 'panels' : '',
    others.length > 0 ? 'others' : '',
    snapshot.avatarCount !== null || snapshot.chipCount !== null ? 'people_chip' : '',
    snapshot.hangUp && (snapshot.captionsButton || snapshot.handButton) ? 'call_buttons' : '',
  ].filter(signal => signal !== '')
}

/**
 * The control that joins or knocks: a visible button that reads so, best text first, else the structural hook while the
 * microphone's state is there and no hang-up button is (meet-dom-structures.md §10, last paragraph).
 */
function findJoinControl(snapshot: Snapshot): JoinControl | null {
  for (const { kind } of JOIN_TEXTS) {
    const found = joinControlOf(snapshot, kind)
    if (found !== null) return found
  }
  if (snapshot.joinControl === null || snapshot.toggles.length === 0 || snapshot.hangUp) return null
  const { path } = snapshot.joinControl
  const button = snapshot.buttons.find(candidate => candidate.path.join() === path.join())
  if (button === undefined || button.dialog !== -1) return null
  return { kind: 'unknown', place: button, disabled: button.disabled }
}

/** A "Join now" inside a dialog agrees to a notice; answer-dialogs.ts owns it. */
const joinButtons = (snapshot: Snapshot) =>
  snapshot.buttons.filter(button => button.dialog === -1 && !button.faint)

function joinControlOf(snapshot: Snapshot, kind: JoinKind): JoinControl | null {
  const texts = JOIN_TEXTS.find(known => known.kind === kind)?.texts ?? []
  const found = joinButtons(snapshot).find(button => readsAs(button, texts))
  return found ? { kind, place: found, disabled: found.disabled } : null
}

function readsAs(button: ButtonSeen, texts: readonly string[]): boolean {
  if (isAnyPhrase(button.text, texts)) return true
  const withSuffix = texts.flatMap(text => JOIN_SUFFIXES.map(suffix => `${text} ${suffix}`))
  return [button.label, button.text].some(
    words => isAnyPhrase(words, texts) || withSuffix.some(start => startsWithPhrase(words, start)),
  )
}

function startsWithPhrase(text: string, phrase: string): boolean {
  return hasAnyPhrase(text.slice(0, phrase.length + 1), [phrase])
}

/** Nothing to press yet and hardly a word, or the page says that it is on its way in. */
function isLoading(snapshot: Snapshot): boolean {
  if (snapshot.readyState === 'loading') return true
  const words = ownWords(snapshot)
  if (words.some(text => LOADING.some(start => startsWithPhrase(text, start)))) return true
  if (snapshot.hangUp) {
    // The call's bar is there and its people are not yet: chips and tiles mount some seconds later (§5.1).
    return callSignals(snapshot).length === 1
  }
  return snapshot.buttons.length === 0 && words.join('').length < 40
}
