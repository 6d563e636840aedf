// Stays in the call and watches it: reads the page, answers dialogs, tells who comes and goes, says when it is over.
import type { Clock } from '../../clock.ts'
import type { Ending } from '../../db/endings.ts'
import type { Log } from '../../log.ts'
import { createDialogAnswers, type DialogAnswers } from './answer-dialogs.ts'
import { type AskGoogle, createGoogleWord } from './google-word.ts'
import type { JoinResult } from './join-call.ts'
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
  /** The longest call ends here; asked at every look. */
  hardStopAt: () => Date
  /**
   * The bot's name in the call, so that a seat that an earlier visit left behind is no company. Where it is not known
   * the name on the bot's own tile is taken.
   */
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
  /** The page is back at the door by itself: goes in again, without loading it. Without this the watch ends there. */
  rejoin?(): Promise<JoinResult>
  /** `reconnecting`: the call's page, whose connection is lost. */
  onScreen?(screen: ScreenKind | 'reconnecting'): void
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
const MOST_REJOINS = 5
/** One look while the page answers; the last one of a silence is cut to the limit of the silence. */
const LOOK_MS = 2_000
const SHORTEST_LOOK_MS = 100
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
  rejoins: number
  ownName: string | null
}

/** Resolves when the call is over for the bot, for whatever reason. Does not press "Leave" itself. */
export async function watchCall(page: MeetPage, options: WatchOptions): Promise<WatchResult> {
  const { clock, log, signal, limits } = options
  const watch = startWatch(page, options)
  const { state } = watch
  for (;;) {
    const lookedAt = clock.now()
    const verdict = await orAborted(lookOnce(watch), watch)
    if (verdict !== 'stay') {
      for (const change of everybodyLeaves(state.present, clock.now())) options.onPeople(change)
      const { ending, why } = verdict
      log.info({ ending, why, screen: state.screen }, 'the call is over for the bot')
      const artefacts =
        KEEPS_ARTEFACTS.includes(ending) && !page.isGone() ? await page.dump(state.screen) : null
      return { ...verdict, artefacts }
    }
    // A look at a silent page has waited already.
    if (page.silentForMs() > 0 && clock.now() - lookedAt >= SHORTEST_LOOK_MS) continue
    try {
      await clock.sleep(Math.max(LEAST_POLL_MS, limits.pollMs ?? DEFAULT_POLL_MS), signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

/** The look's verdict, or at once the end of a watch that is told to stop; a page that hangs cannot hold it. */
async function orAborted(look: Promise<Verdict>, { signal, log }: Watch): Promise<Verdict> {
  const stopped = over('left_by_request', 'asked to stop', true)
  const aborted = Promise.withResolvers<Verdict>()
  const onAbort = () => aborted.resolve(stopped)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  look.catch((error: unknown) => {
    if (signal.aborted) log.warn({ error }, 'the last look failed')
  })
  try {
    const verdict = await Promise.race([aborted.promise, look])
    return signal.aborted ? stopped : verdict
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function startWatch(page: MeetPage, options: WatchOptions): Watch {
  const { clock, log, scheduledStart, sawPeopleBefore, ownName } = options
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
      rejoins: 0,
      ownName,
    },
  }
}

type Verdict = 'stay' | Omit<WatchResult, 'artefacts'>
const over = (ending: Ending, why: string, stillInCall: boolean): Verdict => ({ ending, why, stillInCall })

async function lookOnce(watch: Watch): Promise<Verdict> {
  const { page, clock, limits, state, hardStopAt } = watch
  if (page.isGone()) return over('browser_died', 'the page is gone', false)
  const leftMs = limits.frozenMs - page.silentForMs()
  const snapshot = await page.look(Math.max(SHORTEST_LOOK_MS, Math.min(LOOK_MS, leftMs)))
  if (page.isGone()) return over('browser_died', 'the page is gone', false)
  if (watch.signal.aborted) return over('left_by_request', 'asked to stop', true)
  const now = clock.now()
  if (page.silentForMs() >= limits.frozenMs) return over('page_frozen', 'the page does not answer', true)
  if (now >= hardStopAt().getTime()) return over('longest_call_reached', 'the longest time is over', true)
  const screen: Screen | null = snapshot === 'unknown' ? null : classifyInside(snapshot)
  noteScreen(watch, screen, now)
  if (snapshot === 'unknown' || screen === null) {
    // Not frozen and not readable, such as a page that keeps loading anew.
    const tooLong = page.silentForMs() === 0 && now - state.since >= limits.unknownScreenMs
    return tooLong ? over('unknown_screen', 'the page cannot be read', true) : 'stay'
  }
  if (screen.kind === 'in_call') return await inCall(watch, snapshot, screen, now)
  if (screen.kind === 'pre_join' && watch.rejoin && state.rejoins < MOST_REJOINS) {
    state.rejoins += 1
    return await goInAgain(watch, watch.rejoin)
  }
  await watch.dialogs.answer(snapshot, 'call')
  const meaning = whatOutsideMeans(screen, state.memory, limits, now - state.since)
  return meaning === 'wait'
    ? 'stay'
    : over(meaning.ending, withWords(meaning.why, snapshot), ['unknown', 'loading'].includes(screen.kind))
}

/** What Meet itself wrote there: it does not say who removed somebody, and nobody knows all of its words. */
function withWords(why: string, { titleOrHeading, toggles }: Snapshot): string {
  return titleOrHeading === '' || toggles.length > 0 ? why : `${why}: "${titleOrHeading.slice(0, 200)}"`
}

async function goInAgain(
  { clock, log, state }: Watch,
  rejoin: NonNullable<WatchOptions['rejoin']>,
): Promise<Verdict> {
  const from = clock.now()
  log.warn({}, 'the page is back at the door; going in again')
  const again = await rejoin()
  if (again.kind === 'not_joined') return over(again.ending, `back at the door: ${again.why}`, false)
  state.ownName ??= again.ownName
  log.info({ tookMs: Math.round(clock.now() - from) }, 'in the call again')
  return 'stay'
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
  if (kind !== 'unread') onScreen?.(kind)
}

async function inCall(
  watch: Watch,
  snapshot: Snapshot,
  screen: Extract<Screen, { kind: 'in_call' }>,
  now: number,
): Promise<Verdict> {
  const { state, limits, page, hardStopAt } = watch
  const ownTile = snapshot.tiles.find(tile => tile.own && tile.participantId === tile.mediaId)
  if (ownTile && ownTile.name !== '') state.ownName ??= ownTile.name
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
  const leave = whenToLeave(state.memory, limits, hardStopAt().getTime(), now)
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
  const people = readPeople(snapshot, watch.state.ownName)
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
