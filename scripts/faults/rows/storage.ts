// The object store is away, in every way in which it can be.
import type { FaultMode } from '../../../sandbox/fault-proxy.ts'
import { recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'

const AFTER_RETURN_MS = 3_000
const SHORT_MS = 15_000
const NAMED_MS = 300_000

/** The store is broken during the call, and is back before its end or after. */
function away(
  row: Pick<Row, 'name' | 'fault' | 'happens'> & { mode: FaultMode; endsWhileAway?: boolean },
): Row {
  const { mode, endsWhileAway = false, ...words } = row
  return {
    ...words,
    mostLostSeconds: 1,
    mostRecoverySeconds: 0,
    async run(ground) {
      const one = await recordedCall(ground, row.name, { beforeFaultMs: 4_000 })
      const faultAtMs = Date.now()
      await ground.stage.s3Wire.set(mode)
      await one.goesOn(ground.full ? NAMED_MS : SHORT_MS)
      if (endsWhileAway) {
        one.end()
        await one.goesOn(AFTER_RETURN_MS)
      }
      await ground.stage.s3Wire.set('pass')
      if (!endsWhileAway) {
        await one.goesOn(AFTER_RETURN_MS)
        one.end()
      }
      return one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
    },
  }
}

const QUEUED = 'Segments wait on the disk and go up in order when it is back.'

export const storageRows: Row[] = [
  away({
    name: 's3-refusing',
    fault: 'S3 refuses connections for 5 min, beyond the end of the call',
    happens: `${QUEUED} The bot's process stays until they are there.`,
    mode: 'refuse',
    endsWhileAway: true,
  }),
  away({
    name: 's3-hanging',
    fault: 'S3 accepts connections and never answers, for 5 min',
    happens: `Each try has its own limit. ${QUEUED}`,
    mode: 'hang',
  }),
  away({
    name: 's3-503',
    fault: 'S3 answers 503 for 5 min',
    happens: QUEUED,
    mode: 'http-503',
  }),
  away({
    name: 's3-cutting',
    fault: 'S3 cuts every connection in the middle of a segment, for 5 min',
    happens: `Nothing half stored counts: each upload is compared with its SHA-256. ${QUEUED}`,
    mode: { cutAfterBytes: 20_000 },
  }),
]
