/** Timers that belong to one owner and go away with it. */
export class Timers {
  readonly #running = new Map<string, NodeJS.Timeout>()
  #count = 0

  /** Runs `action` after `delayMs`; a timer of the same name is replaced. */
  after(delayMs: number, action: () => void, name = `#${this.#count++}`): void {
    this.cancel(name)
    const timer = setTimeout(() => {
      this.#running.delete(name)
      action()
    }, delayMs)
    timer.unref()
    this.#running.set(name, timer)
  }

  has(name: string): boolean {
    return this.#running.has(name)
  }

  cancel(name: string): void {
    clearTimeout(this.#running.get(name))
    this.#running.delete(name)
  }

  clear(): void {
    for (const timer of this.#running.values()) clearTimeout(timer)
    this.#running.clear()
  }
}
