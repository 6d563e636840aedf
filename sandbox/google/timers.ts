/** Delayed work with an owner: failures are kept and `stop` ends everything that has not begun. */
export class OwnedTimers {
  readonly #pending = new Set<NodeJS.Timeout>()
  readonly #running = new Set<Promise<void>>()
  readonly failures: unknown[] = []
  readonly #stop = new AbortController()
  #stopped = false

  /** Aborts when all of it ends, for work that would wait for others. */
  get stopping(): AbortSignal {
    return this.#stop.signal
  }

  /** Runs `work` after `delayMs`. */
  later(delayMs: number, work: () => Promise<void>): void {
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#pending.delete(timer)
      const running = work()
        .catch((error: unknown) => {
          this.failures.push(error)
        })
        .finally(() => this.#running.delete(running))
      this.#running.add(running)
    }, delayMs)
    this.#pending.add(timer)
  }

  /** Cancels what has not begun and waits for what has; throws what failed meanwhile. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stop.abort()
    for (const timer of this.#pending) clearTimeout(timer)
    this.#pending.clear()
    await Promise.all(this.#running)
    if (this.failures.length > 0)
      throw new AggregateError(this.failures.splice(0), 'A callback of the Google sandbox failed')
  }
}
