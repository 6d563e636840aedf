import { type Beginning, beginAttempt, type RecorderDeps } from './record-meeting.ts'

/** What became of asking the queue for one due meeting. */
export type Taking = 'took' | 'gave_back' | 'nothing'

type Opened = Extract<Beginning, { kind: 'opened' }>

/**
 * Takes one due meeting from the queue and opens an attempt at it where one is due, whose row is the lease from then on.
 * @param start begins the recording
 * @returns `gave_back`: another recorder may have it, this one may not
 */
export async function takeDue(deps: RecorderDeps, start: (opened: Opened) => void): Promise<Taking> {
  const { jobs, log } = deps
  const job = await jobs.take('record-meeting')
  if (!job) return 'nothing'
  const meeting = job.payload.meetingId
  try {
    const begun = await beginAttempt(deps, job.payload)
    if (begun.kind === 'elsewhere') {
      await jobs.giveBack('record-meeting', job.id, 'not on this host')
      return 'gave_back'
    }
    if (begun.kind === 'opened') start(begun)
    else log.info({ meeting, because: begun.because }, 'nothing to record')
    await jobs.done('record-meeting', job.id)
  } catch (error) {
    // The trigger comes again by itself when its time is over.
    log.error({ error, meeting }, 'a due meeting could not be begun')
  }
  return 'took'
}
