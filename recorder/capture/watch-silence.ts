/** Tells that something stopped coming. */
export interface SilenceWatch {
  start(): void
  sawSomething(): void
  stop(): void
}

/**
 * Calls `onSilence` when nothing was seen for `limitMs`, and again while that lasts. Counts the time in which this process
 * ran: after a pause of the whole process (SIGSTOP, a suspended machine) what waited is read first.
 */
export function watchSilence(limitMs: number, onSilence: () => void): SilenceWatch {
  const tickMs = Math.min(500, limitMs / 4)
  let timer: NodeJS.Timeout | undefined
  let silentMs = 0
  let lastTickAtMs = 0
  return {
    start() {
      clearInterval(timer)
      silentMs = 0
      lastTickAtMs = performance.now()
      timer = setInterval(() => {
        const nowMs = performance.now()
        silentMs += Math.min(nowMs - lastTickAtMs, 2 * tickMs)
        lastTickAtMs = nowMs
        if (silentMs > limitMs) onSilence()
      }, tickMs)
    },
    sawSomething() {
      silentMs = 0
    },
    stop: () => clearInterval(timer),
  }
}
