/** One thing that happened in a meeting. `atMs` is wall-clock time in milliseconds since 1970. */
export type MeetingEvent = { atMs: number; type: string; [detail: string]: unknown }

export type EventMatch = string | ((event: MeetingEvent) => boolean)

type Waiter = { matches: (event: MeetingEvent) => boolean; resolve: (event: MeetingEvent) => void }

export class WaitTimeoutError extends Error {
  readonly code = 'meet_web_wait_timeout'
}

/** What happened, in order, and a way to wait for the next thing. */
export class EventLog {
  readonly events: MeetingEvent[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #listeners = new Set<(event: MeetingEvent) => void>()

  add(type: string, detail: Record<string, unknown> = {}): MeetingEvent {
    const event = { atMs: Date.now(), type, ...detail }
    this.events.push(event)
    for (const listener of this.#listeners) listener(event)
    for (const waiter of [...this.#waiters]) {
      if (!waiter.matches(event)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(event)
    }
    return event
  }

  /** Tells of every event from now on, as it happens. */
  listen(listener: (event: MeetingEvent) => void): void {
    this.#listeners.add(listener)
  }

  /**
   * The first event of that type (or that the predicate accepts), also when it already happened;
   * `fromIndex` leaves out the earlier ones. Rejects with `WaitTimeoutError` after `timeoutMs`.
   */
  waitFor(match: EventMatch, timeoutMs: number, fromIndex = 0): Promise<MeetingEvent> {
    const matches = typeof match === 'string' ? (event: MeetingEvent) => event.type === match : match
    const past = this.events.slice(fromIndex).find(matches)
    if (past !== undefined) return Promise.resolve(past)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        resolve: event => {
          clearTimeout(timer)
          resolve(event)
        },
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        const wanted = typeof match === 'string' ? `"${match}"` : 'the awaited event'
        const seen = this.events.map(event => event.type).join(', ')
        reject(new WaitTimeoutError(`${wanted} did not happen within ${timeoutMs} ms; happened: ${seen}`))
      }, timeoutMs)
      this.#waiters.add(waiter)
    })
  }
}
