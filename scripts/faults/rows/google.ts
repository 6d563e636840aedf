// Google's own servers are away or refuse.
import { eq } from 'drizzle-orm'
import { systemClock } from '../../../clock.ts'
import { meetings } from '../../../db/schema.ts'
import type { Fault } from '../../../sandbox/google/faults.ts'
import type { MeetingAnswer } from '../../../sandbox/journeys/stage.ts'
import { followCall, recordedCall, until } from '../one-call.ts'
import type { Row } from '../row.ts'

const CALL_MS = 6_000
const AVAILABLE_LIMIT_MS = 60_000
const KEPT_LIMIT_MS = 60_000

/** Drive fails when the finished video is copied there. */
function driveFails(
  row: Pick<Row, 'name' | 'fault' | 'happens'> & {
    faults: (full: boolean) => Fault[]
    /** The fault stays until the copy has been given up once. */
    untilFailed?: boolean
  },
): Row {
  const { faults, untilFailed = false, ...words } = row
  return {
    ...words,
    mostLostSeconds: 1,
    mostRecoverySeconds: 0,
    async run(ground) {
      const { google } = ground.stage.sandbox
      const one = await recordedCall(ground, row.name, { beforeFaultMs: CALL_MS })
      const faultAtMs = Date.now()
      for (const fault of faults(ground.full)) google.faults.add(fault)
      one.end()
      const available = await ground.stage.until(
        one.meeting,
        ({ status, drive }) =>
          ['available', 'partial'].includes(status) && (!untilFailed || drive.status === 'failed'),
        AVAILABLE_LIMIT_MS,
      )
      if (untilFailed) google.faults.clear()
      const copied = await ground.stage.until(
        one.meeting,
        ({ drive }) => drive.status === 'uploaded',
        ground.full ? 600_000 : AVAILABLE_LIMIT_MS,
      )
      const left = google.faults.active.length
      const seen = await one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
      if (left > 0) seen.why.push(`${left} of the faults have not happened`)
      if (available.sha256 !== copied.sha256) seen.why.push('the copy in Drive changed the recording')
      return seen
    },
  }
}

const tokenDown: Row = {
  name: 'google-token-down',
  fault: "Google's token endpoint is down when the meeting is posted",
  happens:
    'The meeting is kept and the answer says so; the event is made, and the bot joins, as soon as Google answers.',
  mostLostSeconds: 0,
  mostRecoverySeconds: 30,
  async run(ground) {
    const { stage } = ground
    const { google } = stage.sandbox
    const title = 'google-token-down'
    google.revokeTokens()
    google.faults.add({ kind: 'down', service: 'token' })
    const refused = await stage.post(title, 3_600).then(
      () => undefined,
      (error: Error) => error.message,
    )
    await systemClock.sleep(ground.full ? 60_000 : 5_000)
    google.faults.clear()
    const backAtMs = Date.now()
    const meeting = await until('the meeting made by Google', KEPT_LIMIT_MS, async () => {
      const [kept] = await stage.db.select().from(meetings).where(eq(meetings.topic, title))
      return kept?.joinUrl ? await stage.ask<MeetingAnswer>(`/v1/meetings/${kept.id}`) : undefined
    })
    const one = await followCall(ground, title, meeting)
    await one.recordsAgain(0)
    await one.goesOn(CALL_MS)
    one.end()
    const seen = await one.measure({
      faultAtMs: backAtMs,
      fromMs: backAtMs,
      interrupts: true,
      attempts: ['call_ended_by_host'],
      explained: false,
    })
    if (!refused?.includes('503')) seen.why.push(`the answer to the request was: ${refused ?? 'no problem'}`)
    return seen
  },
}

export const googleRows: Row[] = [
  tokenDown,
  driveFails({
    name: 'drive-quota',
    fault: 'Drive refuses: 403 storageQuotaExceeded',
    happens:
      'The video is available from S3 all the same; the copy says why it failed and is tried again until there is room.',
    faults: () => [
      { kind: 'error', service: 'driveUpload', status: 403, reason: 'storageQuotaExceeded', count: 1000 },
    ],
    untilFailed: true,
  }),
  driveFails({
    name: 'drive-429',
    fault: 'Drive answers 429',
    happens: 'The copy waits as long as Drive asks, and goes on.',
    faults: () => [
      {
        kind: 'error',
        service: 'driveUpload',
        status: 429,
        reason: 'rateLimitExceeded',
        retryAfterSeconds: 1,
        count: 3,
      },
    ],
  }),
  driveFails({
    name: 'drive-hanging',
    fault: 'Drive accepts a request and never answers',
    happens: 'Each try has its own limit; the copy is tried again.',
    faults: full => [
      { kind: 'hang', service: 'driveUpload', method: 'files.create' },
      ...(full ? [{ kind: 'hang', service: 'driveUpload', method: 'upload.put' } as const] : []),
    ],
  }),
  driveFails({
    name: 'drive-session-expired',
    fault: "Drive no longer knows the upload's session",
    happens: 'Another session is opened for the same file id: one file in the end.',
    faults: () => [{ kind: 'error', service: 'driveUpload', method: 'upload.put', status: 404 }],
  }),
]
