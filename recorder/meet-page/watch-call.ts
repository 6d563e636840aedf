// Stays in the call and watches it: reads the page, answers dialogs, tells who comes and goes, says when it is over.
import type { Clock } from '../../clock.ts'
import type { Ending } from '../../db/endings.ts'
import type { Log } from '../../log.ts'
import { createDialogAnswers, type DialogAnswers } from './answer-dialogs.ts'
import { type AskGoogle, createGoogleWord } from './google-word.ts'
import { togglesToMute } from './join-steps.ts'
import type { Artefacts, MeetPage } from './meet-page.ts'
import { type OutsideLimits, whatOutsideMeans } from './outside-call.ts'
import { everybodyLeaves, type PeopleChange, type Presence, readPeople, trackPeople } from './people.ts'
import { classifyInside, type Screen, type ScreenKind } from './screen.ts'
import type { Snapshot } from './snapshot.ts'
import {
  type CallFacts,
  type CallMemory,
  type LeaveLimits,
  remember,
  startMemory,
  whenToLeave,
} from './when-to-leave.ts'

interface WatchLimits extends LeaveLimits, OutsideLimits {
  /** How long the page may not answer. */
  frozenMs: number
  /** Time between two looks, at least 1 s: Node's event loop is shared with the capture. Default 2 s. */
  pollMs?: number
}

export interface WatchOptions {
  limits: WatchLimits
  /** Null for a call without a schedule: patience counts from now. */
  scheduledStart: Date | null
  hardStopAt: Date
  /** The bot's name in the call, where known: a ghost seat of its own is no company. */
  ownName: string | null
  /** An earlier attempt at this meeting has already met somebody. */
  sawPeopleBefore?: boolean
  clock: Clock
  log: Log
  /** Aborted: the watch ends with `left_by_request`. */
  signal: AbortSignal
  /** Whether Google's own record shows somebody else in the conference. */
  googleSaysSomebody?: AskGoogle
  /** Whether there was sound since it was last asked. */
  soundHeard?: () => 'yes' | 'no' | 'unknown'
  onPeople(change: PeopleChange): void
  onScreen?(screen: ScreenKind): void
  /** A dialog that could not be answered; the call goes on. */
  onOddity?(artefacts: Artefacts): void
}

export interface WatchResult {
  ending: Ending
  why: string
  /** The bot still sits in the call: stop the capture, then `page.leave()`. */
  stillInCall: boolean
  artefacts: Artefacts | null
}

const DEFAULT_POLL_MS = 2_000
const LEAST_POLL_MS = 1_000
const MOST_MUTE_PRESSES = 6
const KEEPS_ARTEFACTS: readonly Ending[] = [
  'unknown_screen',
  'removed_from_call',
  'cannot_join',
  'connection_lost',
  'sign_in_required',
]

type Watch = WatchOptions & {
  page: MeetPage
  dialogs: DialogAnswers
  askGoogle: () => boolean | 'unknown'
  state: State
}

interface State {
  memory: CallMemory
  present: Presence
  screen: ScreenKind | 'reconnecting' | 'unread'
  since: number
  mutePresses: number
}

/** Resolves when the call is over for the bot, for whatever reason. Does not press "Leave" itself. */
export async function watchCall(page: MeetPage, options: WatchOptions): Promise<WatchResult> {
  const { clock, log, signal, limits } = options
  const watch = startWatch(page, options)
  const { state } = watch
  for (;;) {
    const verdict = signal.aborted ? over('left_by_request', 'asked to stop', true) : await lookOnce(watch)
    if (verdict !== 'stay') {
      for (const change of everybodyLeaves(state.present, clock.now())) options.onPeople(change)
      const { ending, why } = verdict
      log.info({ ending, why, screen: state.screen }, 'the call is over for the bot')
      const artefacts =
        KEEPS_ARTEFACTS.includes(ending) && !page.isGone() ? await page.dump(state.screen) : null
      return { ...verdict, artefacts }
    }
    try {
      await clock.sleep(Math.max(LEAST_POLL_MS, limits.pollMs ?? DEFAULT_POLL_MS), signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

function startWatch(page: MeetPage, options: WatchOptions): Watch {
  const { clock, log, scheduledStart, sawPeopleBefore } = options
  const now = clock.now()
  return {
    ...options,
    page,
    dialogs: createDialogAnswers(page, log, async finding => {
      options.onOddity?.(await page.dump(`dialog: ${finding.pattern}`))
    }),
    askGoogle: createGoogleWord(options.googleSaysSomebody, clock, log),
    state: {
      memory: startMemory(now, scheduledStart?.getTime() ?? null, sawPeopleBefore ?? false),
      present: new Map(),
      screen: 'in_call',
      since: now,
      mutePresses: 0,
    },
  }
}

type Verdict = 'stay' | Omit<WatchResult, 'artefacts'>
const over = (ending: Ending, why: string, stillInCall: boolean): Verdict => ({ ending, why, stillInCall })

async function lookOnce(watch: Watch): Promise<Verdict> {
  const { page, clock, limits, state, hardStopAt } = watch
  if (page.isGone()) return over('browser_died', 'the page is gone', false)
  const snapshot = await page.look()
  const now = clock.now()
  if (page.silentForMs() >= limits.frozenMs) return over('page_frozen', 'the page does not answer', true)
  if (now >= hardStopAt.getTime()) return over('longest_call_reached', 'the longest time is over', true)
  const screen: Screen | null = snapshot === 'unknown' ? null : classifyInside(snapshot)
  noteScreen(watch, screen, now)
  if (snapshot === 'unknown' || screen === null) {
    // Not frozen and not readable, such as a page that keeps loading anew.
    const tooLong = page.silentForMs() === 0 && now - state.since >= limits.unknownScreenMs
    return tooLong ? over('unknown_screen', 'the page cannot be read', true) : 'stay'
  }
  if (screen.kind === 'in_call') return await inCall(watch, snapshot, screen, now)
  await watch.dialogs.answer(snapshot, 'call')
  const meaning = whatOutsideMeans(screen, state.memory, limits, now - state.since)
  return meaning === 'wait'
    ? 'stay'
    : over(meaning.ending, meaning.why, ['unknown', 'loading'].includes(screen.kind))
}

function noteScreen({ state, log, onScreen }: Watch, screen: Screen | null, now: number): void {
  const kind =
    screen === null
      ? 'unread'
      : screen.kind === 'in_call' && screen.reconnecting
        ? 'reconnecting'
        : screen.kind
  if (kind === state.screen) return
  log.info(
    {
      screen: kind,
      was: state.screen,
      startupCode: screen && 'startupCode' in screen ? screen.startupCode : null,
    },
    'screen',
  )
  state.screen = kind
  state.since = now
  if (screen !== null) onScreen?.(screen.kind)
}

async function inCall(
  watch: Watch,
  snapshot: Snapshot,
  screen: Extract<Screen, { kind: 'in_call' }>,
  now: number,
): Promise<Verdict> {
  const { state, limits, page, hardStopAt } = watch
  await watch.dialogs.answer(snapshot, 'call')
  const [unmuted] = togglesToMute(snapshot)
  if (unmuted && state.mutePresses < MOST_MUTE_PRESSES) {
    state.mutePresses += 1
    await page.press(unmuted)
  }
  if (screen.reconnecting && now - state.since >= limits.connectionLostMs) {
    return over('connection_lost', 'Meet did not come back', true)
  }
  const facts = gatherFacts(watch, snapshot, screen, now)
  if (facts.people !== 'unknown') {
    const { present, changes } = trackPeople(state.present, facts.people, now)
    state.present = present
    for (const change of changes) watch.onPeople(change)
  }
  const was = state.memory.verdict
  state.memory = remember(state.memory, facts)
  if (state.memory.verdict !== was) {
    const counts =
      facts.people === 'unknown'
        ? {}
        : { tiles: facts.people.seen?.length ?? null, chip: facts.people.chipOthers }
    watch.log.info(
      { verdict: state.memory.verdict, was, ...counts, sound: facts.sound, google: facts.googleSaysSomebody },
      'company',
    )
  }
  const leave = whenToLeave(state.memory, limits, hardStopAt.getTime(), now)
  return leave === 'stay'
    ? 'stay'
    : over(leave, `${state.memory.verdict} for ${state.memory.aloneForMs} ms`, true)
}

function gatherFacts(
  watch: Watch,
  snapshot: Snapshot,
  { reconnecting, onlyOneHere }: Extract<Screen, { kind: 'in_call' }>,
  now: number,
): CallFacts {
  const people = readPeople(snapshot, watch.ownName)
  const heard = watch.soundHeard?.() ?? 'unknown'
  const noTrackAlive = snapshot.audioElements > 0 && snapshot.liveAudioTracks === 0
  const inSight = people.seen?.some(person => !person.bot) ?? false
  return {
    at: now,
    people: reconnecting ? 'unknown' : people,
    onlyOneHere,
    sound: heard === 'unknown' && noTrackAlive && !reconnecting ? 'no' : heard,
    // Only asked when the page shows nobody: that saves the quota for when it matters.
    googleSaysSomebody: inSight ? 'unknown' : watch.askGoogle(),
  }
}
