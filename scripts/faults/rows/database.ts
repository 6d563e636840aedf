// PostgreSQL is away.
import { postCall, recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'

const SHORT_MS = 20_000
const NAMED_MS = 60_000
const AFTER_RETURN_MS = 4_000
const CALL_MS = 6_000

const duringTheCall: Row = {
  name: 'postgres-stopped',
  fault: 'PostgreSQL is stopped for 60 s during a call',
  happens:
    'The call is recorded on; rows wait on the disk beside their segments. Nobody is judged dead without looking.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const one = await recordedCall(ground, 'postgres-stopped', { beforeFaultMs: 4_000 })
    const faultAtMs = Date.now()
    await ground.stage.database.stop()
    await one.goesOn(ground.full ? NAMED_MS : SHORT_MS)
    await ground.stage.database.start()
    await one.goesOn(AFTER_RETURN_MS)
    one.end()
    return one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
  },
}

const whileDue: Row = {
  name: 'postgres-stopped-when-due',
  fault: 'PostgreSQL is stopped while a meeting is due',
  happens: 'The recorders keep asking; the meeting is joined as soon as the database is back.',
  mostLostSeconds: 0,
  mostRecoverySeconds: 30,
  async run(ground) {
    const one = await postCall(ground, 'postgres-stopped-when-due', { startsInSeconds: 5 })
    const faultAtMs = Date.now()
    await ground.stage.database.stop()
    await one.goesOn(ground.full ? NAMED_MS : SHORT_MS)
    await ground.stage.database.start()
    const backAtMs = Date.now()
    await one.recordsAgain(0)
    await one.goesOn(CALL_MS)
    one.end()
    return one.measure({
      faultAtMs,
      fromMs: backAtMs,
      backAtMs,
      interrupts: true,
      attempts: ['call_ended_by_host'],
      explained: false,
    })
  },
}

export const databaseRows: Row[] = [duringTheCall, whileDue]
