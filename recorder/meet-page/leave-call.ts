// Leaving so that the others see it: hang up, wait for the end screen, and in any case leave the page.
import type { Page } from 'puppeteer-core'
import { type Clock, withTimeout } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { hasAnyPhrase, isAnyPhrase } from './match-text.ts'
import type { MeetPage } from './meet-page.ts'
import { classifyScreen } from './screen.ts'
import type { ButtonSeen, Snapshot } from './snapshot.ts'
import { END_FOR_EVERYONE, JUST_LEAVE, SELECTORS } from './words.ts'

const BETWEEN_LOOKS_MS = 500
const LEAVE_PAGE_LIMIT_MS = 3_000
const STILL_INSIDE = ['in_call', 'waiting_room', 'unknown', 'loading']

/** The button that takes only us out: the answer to a host's "leave or end?", else the hang-up button. */
export function findLeaveButton(snapshot: Snapshot): ButtonSeen | null {
  const safe = snapshot.buttons.filter(
    button => !hasAnyPhrase(button.label, END_FOR_EVERYONE) && !hasAnyPhrase(button.text, END_FOR_EVERYONE),
  )
  const choice = safe.find(
    button =>
      button.dialogAction === JUST_LEAVE.action ||
      (button.dialog !== -1 && isAnyPhrase(button.text, JUST_LEAVE.texts)),
  )
  const hangUp = safe.find(
    button =>
      `[jsname="${button.jsname}"]` === SELECTORS.hangUpButton || button.glyph === SELECTORS.hangUpGlyph,
  )
  return choice ?? hangUp ?? null
}

/** Leaves within `limitMs` plus a few seconds. Never throws: a page that does not answer is left by closing it. */
export async function leaveCall(
  meetPage: Pick<MeetPage, 'look' | 'press' | 'isGone'>,
  page: Pick<Page, 'goto'>,
  { limitMs, clock, log }: { limitMs: number; clock: Clock; log: Log },
): Promise<void> {
  const deadline = clock.now() + limitMs
  let pressed = false
  while (!meetPage.isGone() && clock.now() < deadline) {
    const snapshot = await meetPage.look()
    if (snapshot !== 'unknown') {
      const screen = classifyScreen(snapshot).kind
      if (!STILL_INSIDE.includes(screen)) {
        log.info({ screen, pressed }, 'out of the call')
        break
      }
      const button = findLeaveButton(snapshot)
      if (button === null && !pressed) break
      if (button !== null) pressed = (await meetPage.press(button)) || pressed
    }
    await clock.sleep(BETWEEN_LOOKS_MS)
  }
  if (meetPage.isGone()) return
  try {
    // The end screen goes home after a minute; an empty page keeps the tab quiet and drops what is left of the call.
    await withTimeout(
      page.goto('about:blank', { timeout: LEAVE_PAGE_LIMIT_MS }),
      LEAVE_PAGE_LIMIT_MS + 500,
      'leaving',
    )
  } catch (error) {
    log.warn({ error }, 'the call’s page could not be left; closing the browser will')
  }
}
