import { createContext, Script } from 'node:vm'

/** Work that was cut off because it took too long. */
export class TookTooLong extends Error {
  readonly code = 'took_too_long'
}

const run = new Script('work()')
const context = createContext({ work: undefined })

/**
 * Runs work of other people's making that never waits, and cuts it off after `limitMs`: also in the middle of a regular
 * expression that does not come to an end.
 * @throws {TookTooLong} and whatever `work` throws
 */
export function withinTime<T>(limitMs: number, work: () => T): T {
  context.work = work
  try {
    return run.runInContext(context, { timeout: limitMs })
  } catch (error) {
    if ((error as NodeJS.ErrnoException | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TookTooLong(`It took longer than ${limitMs} ms`, { cause: error })
    throw error
  } finally {
    context.work = undefined
  }
}
