import type { WriteStream } from 'node:tty'

export interface Progress {
  /** A line that stays. */
  step(text: string): void
  /** A line that is written over by the next one; not shown where there is no terminal. */
  live(text: string): void
}

/** Progress of a command in the terminal, with the seconds since it began. */
export function createProgress(out: NodeJS.WriteStream | WriteStream): Progress {
  const startedAt = performance.now()
  const stamp = () => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)}s`
  const clear = out.isTTY ? '\r\u001b[K' : ''
  return {
    step: text => {
      out.write(`${clear}${stamp()}  ${text}\n`)
    },
    live: text => {
      if (out.isTTY) out.write(`${clear}${stamp()}  ${text.slice(0, (out.columns ?? 80) - 10)}`)
    },
  }
}
