import { setTimeout as delay } from 'node:timers/promises'

/** Time as an argument: what decides or waits takes a Clock, so that a test can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `ms`, or rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {})
  },
}

/** A wait that outlived its limit. */
export class TimedOut extends Error {
  readonly code = 'timed_out'
  constructor(what: string, timeoutMs: number) {
    super(`${what} did not finish within ${timeoutMs} ms`)
    this.name = 'TimedOut'
  }
}

/**
 * Gives `work` a limit: rejects with {@link TimedOut} after `timeoutMs`.
 * The work itself is not stopped; its owner must still close what it opened.
 */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimedOut(what, timeoutMs)), timeoutMs)
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for `work` until it settles or `limitMs` have passed, whichever comes first; says nothing of which. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>(resolve => {
    timer = setTimeout(resolve, limitMs)
  })
  try {
    await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Does `work` again and again, with a pause of `everyMs` after each time, until closed; where it answers `at_once` there is
 * more to do and no pause. What fails is told to `failed` and tried again, except for what closing cuts off.
 * @returns `close` stops it and waits until it has ended, at most `graceMs` where a limit is given
 */
export function repeat(
  everyMs: number,
  work: (stopping: AbortSignal) => Promise<'at_once' | 'pause'>,
  failed: (error: unknown) => void,
): { close(graceMs?: number): Promise<void> } {
  const stopping = new AbortController()
  const { signal } = stopping

  async function run(): Promise<void> {
    while (!signal.aborted) {
      let next: 'at_once' | 'pause' = 'pause'
      try {
        next = await work(signal)
      } catch (error) {
        if (!signal.aborted) failed(error)
      }
      if (next === 'pause')
        await delay(everyMs, undefined, { signal }).catch((error: unknown) => {
          if (!signal.aborted) throw error
        })
    }
  }

  const running = run()
  return {
    async close(graceMs) {
      stopping.abort()
      if (graceMs === undefined) await running
      else await within(graceMs, running)
    },
  }
}
