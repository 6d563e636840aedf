// Into the call: load, prepare, knock or join, wait, give up.
import type { Clock } from '../../clock.ts'
import type { Ending } from '../../db/endings.ts'
import type { Log } from '../../log.ts'
import { createDialogAnswers } from './answer-dialogs.ts'
import type { DialogPlace } from './dialog-words.ts'
import {
  freshMemory,
  type JoinAs,
  type JoinLimits,
  type JoinMemory,
  type JoinStep,
  nextJoinStep,
} from './join-steps.ts'
import { type Artefacts, type MeetPage, PageNotReached } from './meet-page.ts'
import { classifyScreen, type ScreenKind } from './screen.ts'
import { isSameAccount, type SignedIn } from './signed-in.ts'
import type { Snapshot } from './snapshot.ts'

export interface JoinOptions {
  url: string
  as: JoinAs
  /** What the page's language was pinned to; another one is noted in the log. */
  language: string
  limits: JoinLimits
  /** No knock outlives this moment; asked at every look. */
  giveUpAt: () => Date
  /** See `JoinQuestion.beside`. */
  beside?: boolean
  /** The meeting's page is already there, such as after it reloaded itself: it is not loaded first. */
  loaded?: boolean
  clock: Clock
  log: Log
  /** Aborted: leave, visibly for those inside, and come back with `left_by_request`. */
  signal: AbortSignal
  onState(state: 'joining' | 'waiting_room' | 'in_call'): void
}

export type JoinResult =
  | { kind: 'joined'; at: Date; knocks: number; signals: readonly string[]; ownName: string | null }
  | { kind: 'not_joined'; ending: Ending; why: string; knocks: number; artefacts: Artefacts | null }

/** Short, because what passes between the admission and its discovery is missing from the recording. */
const BETWEEN_LOOKS_MS = 250
const FROZEN_MS = 20_000
const LOAD_AGAIN_MS = 2_000
const LEAVE_LIMIT_MS = 6_000

const PLACES: Partial<Record<ScreenKind, DialogPlace>> = { waiting_room: 'waiting', in_call: 'call' }

/**
 * Joins the call or says why not. Everything that Meet may answer is a returned ending; thrown are only faults of ours
 * (`BadMeetingUrl`). The waiting room is left before returning, so that nobody admits a bot that has gone.
 */
export async function joinCall(page: MeetPage, options: JoinOptions): Promise<JoinResult> {
  const ownName = options.as.kind === 'guest' ? options.as.name : null
  const visit = { ...options, page, memory: freshMemory(options.clock.now()), ownName }
  options.onState('joining')
  const outcome = await enter(visit)
  if (outcome.kind === 'joined') {
    options.onState('in_call')
    return {
      kind: 'joined',
      at: new Date(options.clock.now()),
      knocks: visit.memory.knocks,
      signals: outcome.signals,
      ownName: visit.ownName,
    }
  }
  const artefacts = outcome.keepArtefacts && !page.isGone() ? await page.dump(outcome.screen) : null
  await page.leave(LEAVE_LIMIT_MS)
  const { ending, why } = outcome
  options.log.info({ ending, why, knocks: visit.memory.knocks }, 'not joined')
  return { kind: 'not_joined', ending, why, knocks: visit.memory.knocks, artefacts }
}

type Visit = JoinOptions & { page: MeetPage; memory: JoinMemory; ownName: string | null }
type Outcome =
  | { kind: 'joined'; signals: readonly string[] }
  | { kind: 'not_joined'; ending: Ending; why: string; keepArtefacts: boolean; screen: string }

const notJoined = (ending: Ending, why: string, screen = '', keepArtefacts = false): Outcome => ({
  kind: 'not_joined',
  ending,
  why,
  keepArtefacts,
  screen,
})

async function enter(visit: Visit): Promise<Outcome> {
  const { page, as, signal, log } = visit
  if (visit.loaded) return await walk(visit, { kind: 'unknown' }, undefined)
  const signedIn: SignedIn = as.kind === 'signed_in' ? await page.accounts() : { kind: 'unknown' }
  if (signal.aborted) return notJoined('left_by_request', 'asked to stop')
  const own =
    as.kind === 'signed_in' && signedIn.kind === 'accounts'
      ? signedIn.accounts.find(account => as.email === null || isSameAccount(account.email, as.email))
      : undefined
  if (as.kind === 'signed_in' && signedIn.kind === 'accounts' && own === undefined) {
    const others = signedIn.accounts.map(account => account.email).join(', ') || 'nobody'
    return notJoined(
      'bot_not_signed_in',
      `${others} is signed in, not ${as.email ?? 'an account of the bot'}`,
    )
  }
  visit.ownName ??= own?.name ?? null
  if (as.kind === 'signed_in' && own === undefined)
    log.warn({}, 'Google did not say who is signed in; the page will')
  if (!(await load(visit, own?.position))) return notJoined('page_not_reached', 'Meet could not be loaded')
  return await walk(visit, signedIn, own?.position)
}

/** Loads the meeting, trying again while the page's load limit lasts. */
async function load(visit: Visit, account: number | undefined): Promise<boolean> {
  const { page, url, limits, clock, log, signal } = visit
  const deadline = clock.now() + limits.pageLoadMs
  while (!signal.aborted && !page.isGone()) {
    try {
      await orAborted(page.goto(url, Math.max(1_000, deadline - clock.now()), account), signal)
      visit.memory.loadedAt = clock.now()
      return true
    } catch (error) {
      if (!(error instanceof PageNotReached)) throw error
      log.warn({ error }, 'Meet could not be loaded')
      if (clock.now() + LOAD_AGAIN_MS >= deadline) return false
      await pause(visit, LOAD_AGAIN_MS)
    }
  }
  // Aborted or gone: the walk that follows says which.
  return true
}

async function walk(visit: Visit, signedIn: SignedIn, account: number | undefined): Promise<Outcome> {
  const { page, memory, as, limits, clock, log, signal } = visit
  const dialogs = createDialogAnswers(page, log)
  let kind: ScreenKind | 'unread' = 'loading'
  let languageNoted = false
  for (;;) {
    if (signal.aborted) return notJoined('left_by_request', 'asked to stop')
    if (page.isGone()) return notJoined('browser_died', 'the page is gone')
    const snapshot = await page.look()
    const now = clock.now()
    if (snapshot === 'unknown') {
      if (page.silentForMs() >= (limits.frozenMs ?? FROZEN_MS))
        return notJoined('page_frozen', 'the page does not answer')
      await pause(visit, BETWEEN_LOOKS_MS)
      continue
    }
    const screen = classifyScreen(snapshot)
    if (screen.kind !== kind) {
      log.info(
        { screen: screen.kind, was: kind, startupCode: snapshot.startupCode, title: snapshot.title },
        'screen',
      )
      kind = screen.kind
      memory.since = now
      enterScreen(visit, kind, now)
    }
    if (!languageNoted && snapshot.lang !== '') languageNoted = noteLanguage(visit, snapshot)
    const dialog = await dialogs.answer(snapshot, PLACES[kind] ?? 'before')
    // A notice over the call holds its sound and picture back until it is agreed to.
    if (dialog !== null && dialog.button !== null && kind !== 'in_call') {
      await pause(visit, BETWEEN_LOOKS_MS)
      if (now - memory.since < limits.unknownScreenMs) continue
    }
    const step = nextJoinStep({
      screen,
      snapshot,
      memory,
      as,
      beside: visit.beside ?? false,
      signedIn,
      limits,
      now,
      giveUpAt: visit.giveUpAt().getTime(),
    })
    if (step.do === 'joined')
      return { kind: 'joined', signals: screen.kind === 'in_call' ? screen.signals : [] }
    if (step.do === 'end') return notJoined(step.ending, step.why, kind, step.keepArtefacts)
    const loaded = await take(visit, step, account)
    if (!loaded) return notJoined('page_not_reached', 'Meet could not be loaded again', kind)
    await pause(visit, BETWEEN_LOOKS_MS)
  }
}

const AFTER_A_KNOCK: readonly ScreenKind[] = ['waiting_room', 'denied', 'lobby_timeout']

/** A knock counts when its waiting room is seen, or its answer where that came between two looks. */
function enterScreen({ memory, onState }: Visit, kind: ScreenKind, now: number): void {
  if (!AFTER_A_KNOCK.includes(kind) || memory.knockedAt !== null) return
  memory.knockedAt = now
  memory.knocks += 1
  if (kind === 'waiting_room') onState('waiting_room')
}

function noteLanguage({ language, log }: Visit, { lang }: Snapshot): true {
  if (!lang.startsWith(language.slice(0, 2)))
    log.warn({ lang, wanted: language }, 'Meet speaks another language')
  return true
}

/** Does the step; resolves to false only when the page could not be loaded again. */
async function take(visit: Visit, step: JoinStep, account: number | undefined): Promise<boolean> {
  const { page, memory, clock, log } = visit
  switch (step.do) {
    case 'mute':
      memory.mutePresses += 1
      await page.press(step.place)
      return true
    case 'type_name':
      memory.nameTyped += 1
      await page.type(step.place, step.name)
      return true
    case 'open_list':
      memory.listsOpened += 1
      memory.since = clock.now()
      await page.press(step.place)
      return true
    case 'join': {
      const pressed = await page.press(step.place)
      log.info({ pressed, button: step.place.text || step.place.label, kind: step.why }, 'joining')
      if (pressed) {
        memory.joinPresses += 1
        memory.lastJoinPressAt = clock.now()
      }
      return true
    }
    case 'load_again':
      log.info({ why: step.why, afterMs: step.afterMs }, 'loading the meeting again')
      if (step.why === 'refused') memory.reloads += 1
      // The old request to join is withdrawn first: two of them confuse whoever admits.
      if (step.why === 'knock_again') await page.leave(LEAVE_LIMIT_MS)
      await pause(visit, step.afterMs)
      Object.assign(memory, { knockedAt: null, joinPresses: 0, mutePresses: 0, nameTyped: 0, listsOpened: 0 })
      return await load(visit, account)
    default:
      return true
  }
}

/** Resolves with the work, or at once when aborted; what then becomes of the work is seen by the next look. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const onAbort = () => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Waits; an abort ends the wait early and is told by the loop. */
async function pause({ clock, signal }: Visit, ms: number): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
