import type { Clock } from '../clock.ts'
import type { Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { Problem } from './problem.ts'
import { JOB_DELAY_MS, type Provisioning, type ProvisionOutcome } from './provisioning.ts'

/** Series that the provider has to be told of, and meetings that differ from theirs or have none, in this order. */
export interface Touched {
  seriesIds: string[]
  meetingIds: string[]
}

interface TellDeps {
  provisioning: Provisioning
  clock: Clock
}

/**
 * Tells the provider at once, all within the limit. What it was not told goes on as a job.
 * @returns how it went, with the last meeting of them
 */
export async function tellAtOnce(
  { provisioning, clock }: TellDeps,
  organizationId: string,
  { seriesIds, meetingIds }: Touched,
  actor: string,
  limitMs: number,
): Promise<ProvisionOutcome> {
  const end = clock.now() + limitMs
  const left = () => Math.max(1, end - clock.now())
  for (const id of seriesIds) {
    const outcome = await provisioning.seriesAtOnce({ id }, actor, left())
    if (outcome.kind !== 'done') return outcome
  }
  let last: ProvisionOutcome = { kind: 'done' }
  for (const id of meetingIds) {
    last = await provisioning.atOnce({ id, organizationId }, actor, left())
    if (last.kind !== 'done') return last
  }
  return last
}

/**
 * Sends the jobs that tell the provider, in the transaction of what it is to be told.
 * @param delayMs how long whoever tells it at once is given first
 */
export async function sendJobs(
  jobs: Pick<OpenJobs, 'sendMany'>,
  tx: Transaction,
  { seriesIds, meetingIds }: Touched,
  now: number,
  delayMs = JOB_DELAY_MS,
): Promise<void> {
  const startAfter = delayMs === 0 ? {} : { startAfter: new Date(now + delayMs) }
  const of = (ids: string[]) => [...new Set(ids)]
  const ofSeries = of(seriesIds).map(seriesId => ({ payload: { seriesId }, key: seriesId, ...startAfter }))
  const ofMeetings = of(meetingIds).map(meetingId => ({
    payload: { meetingId },
    key: meetingId,
    ...startAfter,
  }))
  await jobs.sendMany(tx, 'provision-series', ofSeries)
  await jobs.sendMany(tx, 'provision-meeting', ofMeetings)
}

/** @throws {Problem} `google_refused`, `google_unavailable` @param kept what became of the request all the same */
export function refuseUnlessDone(
  outcome: ProvisionOutcome,
  meetingId: string,
  kept: string,
): asserts outcome is ProvisionOutcome & { kind: 'done' } {
  if (outcome.kind === 'done') return
  const headers = { Location: `/v1/meetings/${meetingId}` }
  if (outcome.kind === 'refused')
    throw new Problem(
      'google_refused',
      `${outcome.fault.message} ${kept}`,
      { meetingId, headers },
      { cause: outcome.fault },
    )
  const { retryAfterSeconds } = outcome
  throw new Problem('google_unavailable', `Google does not answer. ${kept}`, {
    meetingId,
    retryAfterSeconds,
    headers,
  })
}
