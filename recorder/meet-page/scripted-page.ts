// A page for tests that shows what a script says, under a clock that jumps: hours of patience in milliseconds.
import type { Clock } from '../../clock.ts'
import { type MeetPage, PageNotReached } from './meet-page.ts'
import type { SignedIn } from './signed-in.ts'
import type { Snapshot } from './snapshot.ts'

/** Sleeping takes no time and moves the time on. */
export function jumpingClock(startMs = 1_000_000): Clock {
  let now = startMs
  return {
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      now += ms
    },
  }
}

export interface Script {
  /** What the page shows; asked at every look. `silent` is a page that does not answer. */
  show(sinceLoadMs: number, did: readonly string[]): Snapshot | 'unknown' | 'silent'
  signedIn?: SignedIn
  /** Loads that fail before one works. */
  failingLoads?: number
  gone?: () => boolean
}

/** `did` lists what was done to it: `goto`, `press <text or label>`, `type <text>`, `leave`, `dump`. */
export function scriptedPage(clock: Clock, script: Script): MeetPage & { did: string[] } {
  const did: string[] = []
  let loadedAt = clock.now()
  let silentSince: number | null = null
  let failing = script.failingLoads ?? 0
  return {
    did,
    async goto(_url, _limitMs, account) {
      did.push(account ? `goto ${account}` : 'goto')
      failing -= 1
      if (failing >= 0) throw new PageNotReached('not now')
      loadedAt = clock.now()
    },
    async look() {
      const shown = script.show(clock.now() - loadedAt, did)
      if (shown !== 'silent') {
        silentSince = null
        return shown
      }
      silentSince ??= clock.now()
      await clock.sleep(5_000)
      return 'unknown'
    },
    nextSpeech: async () => 'unknown',
    async press({ text, label }) {
      did.push(`press ${text || label}`)
      return true
    },
    async type(_place, text) {
      did.push(`type ${text}`)
      return true
    },
    accounts: async () => script.signedIn ?? { kind: 'unknown' },
    async leave() {
      did.push('leave')
    },
    async dump(screen) {
      did.push('dump')
      return { url: '', at: new Date(clock.now()), screen, screenshot: null, html: null }
    },
    silentForMs: () => (silentSince === null ? 0 : clock.now() - silentSince),
    isGone: () => script.gone?.() ?? false,
    [Symbol.dispose]() {},
  }
}
