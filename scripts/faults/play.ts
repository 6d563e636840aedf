import { withTimeout } from '../../clock.ts'
import { type Ground, openGround } from './ground.ts'
import { broken, judge, type Line, type Row } from './row.ts'

export interface PlayOptions {
  /** The durations that the table names. */
  full: boolean
  /** How many rows at the same time, each on a ground of its own. */
  atOnce: number
  /** How often a row is played that fails: real media on a machine with other work to do may be disturbed once. */
  tries: number
  /** Takes what the services print. */
  onOutput: (text: string) => void
  /** Aborted when it must end early: everything started is ended first. */
  signal: AbortSignal
}

const ROW_LIMIT_MS = 240_000
const FULL_ROW_LIMIT_MS = 1_200_000

/**
 * Plays rows until none is left, and tells each outcome as it comes.
 * @returns whether all were as they should be
 */
export async function playRows(
  rows: readonly Row[],
  options: PlayOptions,
  tell: (row: Row, line: Line) => void,
): Promise<boolean> {
  const { full, atOnce, onOutput, signal } = options
  let allOk = true
  const playOn = async (waiting: Row[]) => {
    let ground: Ground | undefined
    const leave = async () => {
      const left = ground
      ground = undefined
      await left?.[Symbol.asyncDispose]()
    }
    try {
      for (let row = waiting.shift(); row && !signal.aborted; row = waiting.shift()) {
        for (let tries = 1; ; tries++) {
          ground ??= await openGround({ full, onOutput })
          onOutput(`\n===== ${row.name}\n`)
          const line = await playRow(row, ground, signal)
          // What a failed row leaves behind must not disturb the next one.
          if (!line.ok) await leave()
          if (!line.ok && tries < options.tries && !signal.aborted) continue
          tell(row, tries > 1 ? { ...line, tries } : line)
          allOk &&= line.ok
          break
        }
      }
    } finally {
      await leave()
    }
  }
  const together = rows.filter(row => !row.alone)
  await Promise.all(Array.from({ length: Math.min(atOnce, together.length) }, () => playOn(together)))
  await playOn(rows.filter(row => row.alone))
  return allOk && !signal.aborted
}

async function playRow(row: Row, ground: Ground, signal: AbortSignal): Promise<Line> {
  const startedAt = performance.now()
  const took = () => Math.round((performance.now() - startedAt) / 100) / 10
  const limitMs = ground.full ? FULL_ROW_LIMIT_MS : ROW_LIMIT_MS
  try {
    const work = withTimeout(row.run(ground), limitMs, row.name)
    const line = judge(row, await Promise.race([work, untilAborted(signal)]), took())
    await ground.mend()
    return line
  } catch (error) {
    return broken(row, error, took())
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const tell = () => reject(new Error('the command was told to stop'))
    if (signal.aborted) tell()
    else signal.addEventListener('abort', tell, { once: true })
  })
}
