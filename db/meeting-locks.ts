import { setTimeout as delay } from 'node:timers/promises'
import { postgresAt } from './postgres-at.ts'

/** Keeps two processes (and two requests of one process) from working on one meeting's Google side at once. */
export interface MeetingLocks extends AsyncDisposable {
  /**
   * Runs `work` alone for this meeting. Nobody waits for the lock to be given back but who wants it next.
   * @returns what `work` returned, or `busy` when another held the meeting for `waitMs`
   */
  alone<T>(meetingId: string, waitMs: number, work: () => Promise<T>): Promise<T | 'busy'>
  close(): Promise<void>
}

const LOOK_AGAIN_MS = 100
// Any constant: the first half of the lock's number, so that other users of advisory locks are not met.
const LOCK_SPACE = 7_305_147

/**
 * Opens one connection that holds the locks of this process. They are PostgreSQL's session locks, so a process that dies
 * gives its locks back, and no transaction stays open while Google is called. Losing the connection loses the locks;
 * what they guard must therefore be repeatable, and is.
 * @param onError a lock could not be given back
 */
export function openMeetingLocks(url: string, onError: (error: unknown) => void): MeetingLocks {
  const connection = postgresAt(url, {
    max: 1,
    idle_timeout: 0,
    // A connection that is replaced after a while would drop the locks it holds.
    max_lifetime: null,
    connect_timeout: 10,
    onnotice: () => {},
    connection: { statement_timeout: 5000, application_name: 'testigo-locks' },
  })
  // A session may take a lock it already holds, so within the process this decides: what is worked on, and what is being
  // given back until then.
  const held = new Map<string, 'worked on' | Promise<void>>()

  async function take(meetingId: string): Promise<boolean> {
    if (held.get(meetingId) !== 'worked on') await held.get(meetingId)
    if (held.has(meetingId)) return false
    held.set(meetingId, 'worked on')
    let taken = false
    try {
      const [row] =
        await connection`select pg_try_advisory_lock(${LOCK_SPACE}, hashtext(${meetingId})) as taken`
      taken = row?.taken === true
    } finally {
      if (!taken) held.delete(meetingId)
    }
    return taken
  }

  async function giveBack(meetingId: string): Promise<void> {
    try {
      await connection`select pg_advisory_unlock(${LOCK_SPACE}, hashtext(${meetingId}))`
    } catch (error) {
      onError(error)
    } finally {
      held.delete(meetingId)
    }
  }

  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= connection.end({ timeout: 5 })
    return closed
  }
  return {
    async alone(meetingId, waitMs, work) {
      const until = performance.now() + waitMs
      while (!(await take(meetingId))) {
        if (performance.now() >= until) return 'busy'
        await delay(LOOK_AGAIN_MS)
      }
      try {
        return await work()
      } finally {
        held.set(meetingId, giveBack(meetingId))
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
