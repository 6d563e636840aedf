// The making of the finished file is killed.
import { FINISH_STEPS } from '../../../recorder/finish-recording.ts'
import { runCommand } from '../../../sandbox/journeys/run-command.ts'
import type { Ground } from '../ground.ts'
import { type OneCall, recordedCall, until } from '../one-call.ts'
import type { Row } from '../row.ts'
import { signalAll } from '../victims.ts'

/** After the last step there is nothing left to be killed in; the one before it publishes. */
const STEPS = FINISH_STEPS.filter(step => step !== 'cleaned')
const ONE_FINISH_LIMIT_MS = 60_000
const FINISHING_LIMIT_MS = 60_000
const AFTER_FAULT_MS = 2_000

const killedAtEachStep: Row = {
  name: 'finish-killed',
  fault: `The finishing of a recording is killed at each of its ${STEPS.length} steps, one after another`,
  happens:
    'Until the last step nothing that exists is changed, so whoever takes it up begins anew; the recorders had been killed before the call ended, and its own process went on without them.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const one = await recordedCall(ground, 'finish-killed', { beforeFaultMs: 4_000 })
    const faultAtMs = Date.now()
    // Without recorders nobody finishes it unasked. The recording's own process does not need them.
    const recorders = ground.stage.recorders
    signalAll(
      recorders.map(recorder => recorder.process.pid),
      'SIGKILL',
    )
    await one.goesOn(AFTER_FAULT_MS)
    one.end()
    await until('the end of the attempt', FINISHING_LIMIT_MS, async () =>
      (await ground.stage.recording(one.meeting)).status === 'finishing' ? true : undefined,
    )
    const survived: string[] = []
    for (const step of STEPS) if ((await finish(ground, one, step)) !== null) survived.push(step)
    for (const recorder of recorders) await recorder.start()
    const seen = await one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
    if (survived.length > 0) seen.why.push(`it was not killed after ${survived.join(', ')}`)
    return seen
  },
}

/** Finishes until that step, and gives the exit code: null of a process that was killed. */
async function finish(ground: Ground, one: OneCall, step: string): Promise<number | null> {
  const settings = Object.entries(ground.stage.env).filter(entry => entry[1] !== undefined)
  const { code } = await runCommand('recorder/finish-for-tests.ts', [one.recordingId, step], {
    env: Object.fromEntries(settings) as Record<string, string>,
    limitMs: ONE_FINISH_LIMIT_MS,
  })
  return code
}

export const finishRows: Row[] = [killedAtEachStep]
