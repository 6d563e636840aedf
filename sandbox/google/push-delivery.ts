import type { World } from './world.ts'

/** A push on its way to somebody's address. */
export interface Push {
  service: 'calendarPush' | 'pubsub'
  /** Id of the channel, or name of the Pub/Sub subscription. */
  to: string
  address: string
  /** Made anew for every try, as tokens have their time. */
  headers: () => Record<string, string>
  body?: string
  /** What it tells, for those who look: `sync`, `exists`, or the type of an event. */
  tells: string
  accepted: readonly number[]
  /** Whether an answer with this status is tried again; no answer at all always is. */
  triedAgain: (status: number) => boolean
  /** Whether there still is somebody to push to, asked before each try. */
  isWanted: () => boolean
}

/** What became of one try. */
export interface PushRecord {
  service: Push['service']
  to: string
  tells: string
  outcome: number | 'lost' | 'unreachable'
}

const mostTries = 6
const answerWithinMs = 10_000
const mostRecords = 10_000

/** Sends a push, as the faults will have it: lost, late, twice. Tries again with growing delay where Google does. */
export async function sendPush(world: World, push: Push): Promise<void> {
  const method = `${push.service}.${push.tells}`
  const { faults, timers } = world
  if (faults.take(['losePush'], push.service, method)) return note(world, push, 'lost')
  const late = faults.take(['delayPush'], push.service, method)
  const twice = faults.take(['duplicatePush'], push.service, method)
  const send = async () => {
    await attempt(world, push, 1)
    if (twice) await attempt(world, push, 1)
  }
  if (late) timers.later(late.delayMs, send)
  else await send()
}

async function attempt(world: World, push: Push, tries: number): Promise<void> {
  if (!push.isWanted()) return
  const outcome = await post(world, push)
  note(world, push, outcome)
  const again = typeof outcome === 'number' ? push.triedAgain(outcome) : true
  if (!again || tries >= mostTries || (typeof outcome === 'number' && push.accepted.includes(outcome))) return
  world.timers.later(world.pushTimes.retryMs * 2 ** (tries - 1), () => attempt(world, push, tries + 1))
}

async function post(world: World, push: Push): Promise<number | 'unreachable'> {
  try {
    const answer = await fetch(push.address, {
      method: 'POST',
      headers: push.headers(),
      redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(answerWithinMs), world.timers.stopping]),
      ...(push.body !== undefined && { body: push.body }),
    })
    await answer.body?.cancel()
    return answer.status
  } catch {
    // Whatever kept it from arriving, the sender knows no more than that it did not.
    return 'unreachable'
  }
}

function note(world: World, { service, to, tells }: Push, outcome: PushRecord['outcome']): void {
  const { pushes } = world.state
  pushes.push({ service, to, tells, outcome })
  if (pushes.length > mostRecords) pushes.shift()
}
