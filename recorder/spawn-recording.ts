import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Ending } from '../db/endings.ts'
import type { Log } from '../log.ts'
import { listProcessTree, stillRunning } from './process-tree.ts'

/** What the recorder tells the child of an attempt: leave the call, for this reason. */
export interface ParentMessage {
  ending: Ending
}

/** What the child tells the recorder, once: from now on it gives signs of life itself. */
export const CHILD_BEATS = 'beats'

export interface RecordingProcess {
  pid: number | undefined
  /** Resolves when the child gives signs of life itself; never when it dies before. */
  beats: Promise<void>
  /** Settles when the child is gone; its row says how the attempt ended, unless it died before it could write. */
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  leave(ending: Ending): void
}

/** A child that was asked to leave gets this long to store its last segments. */
const LEAVE_LIMIT_MS = 900_000

/**
 * Starts the child process of one attempt. When it dies, whatever it started dies with it: a browser without an owner
 * would stay in the call.
 * @param beside another bot of the same account is in the call and hands over
 */
export function spawnRecording(
  attemptId: string,
  beside: boolean,
  databaseUrl: string,
  log: Log,
): RecordingProcess {
  const child = fork(join(import.meta.dirname, 'record.ts'), [attemptId, ...(beside ? ['beside'] : [])], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Loading the modules alone leaves 200 MiB of empty heap behind where the young generation may grow as it likes.
    execArgv: ['--max-semi-space-size=4'],
    // The terminal's Ctrl-C goes to the recorder only, which decides what it means.
    detached: true,
  })
  let tree: Awaited<ReturnType<typeof listProcessTree>> = []
  const look = setInterval(() => {
    if (child.pid)
      listProcessTree(child.pid).then(
        found => (tree = found),
        error => log.debug({ error }, 'the process tree could not be read'),
      )
  }, 2000)
  child.on('error', error =>
    log.error({ error, attempt: attemptId }, 'the recording process could not be started or told'),
  )
  const beats = new Promise<void>(resolve => {
    child.on('message', message => {
      if (message === CHILD_BEATS) resolve()
    })
  })
  let limit: NodeJS.Timeout | undefined
  const exit = once(child, 'exit').then(async ([code, signal]) => {
    clearInterval(look)
    clearTimeout(limit)
    for (const orphan of await stillRunning(tree)) {
      log.warn({ pid: orphan.pid, attempt: attemptId }, 'ending a process that its recording left behind')
      process.kill(orphan.pid, 'SIGKILL')
    }
    return { code, signal }
  })
  return {
    pid: child.pid,
    beats,
    exit,
    leave(ending) {
      if (child.connected) child.send({ ending } satisfies ParentMessage)
      limit ??= setTimeout(() => child.kill('SIGKILL'), LEAVE_LIMIT_MS)
    },
  }
}
