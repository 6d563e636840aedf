// The page object: goes, looks, presses, types, leaves. Every touch of the browser has a limit; it decides nothing.
import type { ElementHandle, Page } from 'puppeteer-core'
import { type Clock, TimedOut, withTimeout } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { awaitSpeech } from './await-speech.in-page.ts'
import { leaveCall } from './leave-call.ts'
import { meetingAddress } from './meeting-address.ts'
import { findPlace, readScreen } from './read-screen.in-page.ts'
import { readAccounts, type SignedIn } from './signed-in.ts'
import type { ElementPlace, Snapshot } from './snapshot.ts'
import { PEOPLE_CHIP, SELECTORS } from './words.ts'

const LOOK_LIMIT_MS = 2_000
/** What may pass between two looks besides a look itself; more is a recorder that stood still, not a page that does. */
const MOST_BETWEEN_LOOKS_MS = 2_000
const PRESS_LIMIT_MS = 3_000
const TYPE_LIMIT_MS = 10_000
const DUMP_LIMIT_MS = 10_000

/** What is kept of a screen that nobody expected. Parts that could not be had are null. */
export interface Artefacts {
  url: string
  at: Date
  /** What the deciding code took the screen for. */
  screen: string
  screenshot: Buffer | null
  html: string | null
}

export interface MeetPage extends Disposable {
  /** Loads the meeting, language pinned; `account` picks one of several signed-in accounts. Throws `PageNotReached`. */
  goto(url: string, limitMs: number, account?: number): Promise<void>
  /** The page as it is now, or `unknown` when it does not answer in time (2 s) or is between two documents. */
  look(limitMs?: number): Promise<Snapshot | 'unknown'>
  /** Whether somebody else speaks within the limit, told at once; `unknown` when the page does not answer. */
  nextSpeech(limitMs: number): Promise<boolean | 'unknown'>
  /** Presses it if it still stands where the snapshot saw it; resolves to whether it was pressed. */
  press(place: ElementPlace): Promise<boolean>
  /** Replaces what the field holds; resolves to whether the field was still there. */
  type(place: ElementPlace, text: string): Promise<boolean>
  /** Who is signed in to Google in this browser. Leaves the meeting's address. */
  accounts(): Promise<SignedIn>
  /** Leaves the call or the waiting room so that the others see it. Never throws, ends within `limitMs`. */
  leave(limitMs: number): Promise<void>
  dump(screen: string): Promise<Artefacts>
  /** How long the page has not answered, in milliseconds; 0 while it does. Time in which we stood still does not count. */
  silentForMs(): number
  /** The tab crashed or was closed: nothing will come from here any more. */
  isGone(): boolean
}

/** Meet's page could not be loaded. */
export class PageNotReached extends Error {
  readonly code = 'page_not_reached'
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'PageNotReached'
  }
}

/** @param language Meet's language, such as `en`; the words are known in English and Spanish */
export function openMeetPage(page: Page, options: { language: string; clock: Clock; log: Log }): MeetPage {
  const { language, clock, log } = options
  let gone = false
  let silentMs = 0
  let markedAt: number | null = null
  let looking: Promise<Snapshot> | null = null

  const onCrash = (error: Error) => {
    gone = true
    log.error({ error }, 'the call’s page crashed')
  }
  const onClose = () => {
    gone = true
  }
  // "Leave site?" of a call would hold every navigation; other native dialogs hold the page's scripts.
  const onDialog = (dialog: { type(): string; accept(): Promise<void>; dismiss(): Promise<void> }) => {
    const answered = dialog.type() === 'beforeunload' ? dialog.accept() : dialog.dismiss()
    answered.catch((error: unknown) => log.warn({ error }, 'a native dialog could not be answered'))
  }
  page.on('error', onCrash).on('close', onClose).on('dialog', onDialog)

  const readOnce = () => {
    looking ??= page.evaluate(readScreen, { selectors: SELECTORS, peopleChip: PEOPLE_CHIP }).finally(() => {
      looking = null
    })
    return looking
  }

  const meetPage: MeetPage = {
    async goto(url, limitMs, account) {
      const address = meetingAddress(url, language, account)
      try {
        const response = await page.goto(address, { waitUntil: 'domcontentloaded', timeout: limitMs })
        if (response && response.status() >= 500)
          throw new PageNotReached(`Meet answered ${response.status()}`)
        answered()
      } catch (error) {
        if (error instanceof PageNotReached) throw error
        throw new PageNotReached(`${new URL(address).hostname} could not be loaded`, error)
      }
    },

    async look(limitMs = LOOK_LIMIT_MS) {
      if (gone) return 'unknown'
      const askedAt = clock.now()
      try {
        const snapshot = await withTimeout(readOnce(), limitMs, 'reading the page')
        answered()
        return snapshot
      } catch (error) {
        if (error instanceof TimedOut) unanswered(askedAt)
        log.debug({ error }, 'the page could not be read')
        return 'unknown'
      }
    },

    async nextSpeech(limitMs) {
      const input = {
        tile: SELECTORS.tile,
        marks: SELECTORS.speakingMarks,
        ownGlyphs: SELECTORS.ownTileGlyphs,
        limitMs,
      }
      try {
        return await withTimeout(page.evaluate(awaitSpeech, input), limitMs + LOOK_LIMIT_MS, 'listening')
      } catch (error) {
        log.debug({ error }, 'the page could not be listened to')
        return 'unknown'
      }
    },

    async press(place) {
      return attempt('pressing', PRESS_LIMIT_MS * 2, place, async element => {
        const point = await element.evaluate(pointToPress)
        if (point.free) {
          try {
            await withTimeout(page.mouse.click(point.x, point.y), PRESS_LIMIT_MS, 'a click')
            return
          } catch (error) {
            if (!(error instanceof TimedOut)) throw error
            log.debug(
              { label: place.label || place.text },
              'the mouse did not answer; pressing from inside the page',
            )
          }
        }
        // Meet delegates its events from the root, so a scripted click works too (meet-dom-structures.md §1).
        await element.evaluate(target => target.click())
      })
    },

    async type(place, text) {
      return attempt('typing', TYPE_LIMIT_MS, place, async element => {
        await element.evaluate(target => {
          target.focus()
          if (target instanceof HTMLInputElement) target.select()
        })
        await page.keyboard.type(text)
      })
    },

    accounts: () => readAccounts(page, log),
    leave: limitMs => leaveCall(meetPage, page, { limitMs, clock, log }),

    async dump(screen) {
      const take = async <T>(what: string, work: Promise<T>): Promise<T | null> => {
        try {
          return await withTimeout(work, DUMP_LIMIT_MS, what)
        } catch (error) {
          log.warn({ error }, `${what} failed`)
          return null
        }
      }
      const html = await take('saving the page', page.content())
      const screenshot = await take('taking a picture of the page', page.screenshot({ type: 'png' }))
      return {
        url: page.url(),
        at: new Date(clock.now()),
        screen,
        screenshot: screenshot && Buffer.from(screenshot),
        html,
      }
    },

    silentForMs: () => silentMs,
    isGone: () => gone || page.isClosed(),
    [Symbol.dispose]() {
      page.off('error', onCrash).off('close', onClose).off('dialog', onDialog)
    },
  }
  return meetPage

  function answered(): void {
    silentMs = 0
    markedAt = clock.now()
  }

  /** The silence began with the last answer; each look adds what has passed since the one before. */
  function unanswered(askedAt: number): void {
    const now = clock.now()
    silentMs += Math.min(now - (markedAt ?? askedAt), LOOK_LIMIT_MS + MOST_BETWEEN_LOOKS_MS)
    markedAt = now
  }

  /**
   * Works on the element if it is still there. A page that goes away or does not answer is a "no", told in the log; the
   * next look shows what became of it.
   */
  async function attempt(
    what: string,
    limitMs: number,
    place: ElementPlace,
    work: (element: ElementHandle<HTMLElement>) => Promise<void>,
  ): Promise<boolean> {
    const act = async () => {
      const handle = await page.evaluateHandle(findPlace, place)
      const element = handle.asElement() as ElementHandle<HTMLElement> | null
      try {
        if (element !== null) await work(element)
        return element !== null
      } finally {
        await handle.dispose()
      }
    }
    const askedAt = clock.now()
    try {
      return await withTimeout(act(), limitMs, what)
    } catch (error) {
      if (error instanceof TimedOut) unanswered(askedAt)
      log.debug({ error }, `${what} failed`)
      return false
    }
  }
}

/** Runs inside the page: where to press the element, and whether nothing else lies on top of it there. */
function pointToPress(element: HTMLElement): { x: number; y: number; free: boolean } {
  element.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  const box = element.getBoundingClientRect()
  const x = box.left + box.width / 2
  const y = box.top + box.height / 2
  return { x, y, free: element.contains(document.elementFromPoint(x, y)) }
}
