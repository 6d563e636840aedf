// Parts of a recorder are killed.
import { type OneCall, recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'
import { browserOf, encoderOf, recordingChild, renderersOf, signalAll } from '../victims.ts'

const AFTER_RECOVERY_MS = 4_000

/** Hits the recording's child or what it started, waits for the next attempt, ends the call, measures. */
function killed(
  row: Pick<Row, 'name' | 'fault' | 'happens'> & {
    victims: (childPid: number) => Promise<number[]>
    ending: string | readonly string[]
  },
): Row {
  const { victims, ending, ...words } = row
  return {
    ...words,
    mostLostSeconds: 1,
    mostRecoverySeconds: 30,
    async run(ground) {
      const one = await recordedCall(ground, row.name)
      const faultAtMs = await hit(one, victims)
      await one.recordsAgain(1)
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      return one.measure({
        faultAtMs,
        interrupts: true,
        attempts: [ending, 'call_ended_by_host'],
        reasons: [ending].flat(),
      })
    },
  }
}

async function hit(one: OneCall, victims: (childPid: number) => Promise<number[]>): Promise<number> {
  const attempt = await one.living()
  const pids = await victims(await recordingChild(attempt.id))
  const faultAtMs = Date.now()
  signalAll(pids, 'SIGKILL')
  return faultAtMs
}

export const processRows: Row[] = [
  killed({
    name: 'sigkill-chromium',
    fault: 'SIGKILL Chromium',
    happens:
      'The end of the browser is seen at once; what was captured is kept, and a new browser joins again.',
    victims: async child => [await browserOf(child)],
    ending: 'browser_died',
  }),
  killed({
    name: 'sigkill-renderer',
    fault: 'SIGKILL the renderer of the call',
    happens: "The crash of the call's page is seen at once; a new browser joins again.",
    victims: renderersOf,
    ending: 'browser_died',
  }),
  {
    name: 'sigkill-ffmpeg',
    fault: 'SIGKILL ffmpeg',
    happens:
      'Another one is started at once and is given again what the first had not handed out: the visit goes on.',
    mostLostSeconds: 1,
    mostRecoverySeconds: 0,
    async run(ground) {
      const one = await recordedCall(ground, 'sigkill-ffmpeg')
      const faultAtMs = await hit(one, async child => [await encoderOf(child)])
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      return one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
    },
  },
  killed({
    name: 'sigkill-child',
    fault: "SIGKILL the recording's own process",
    happens:
      'Its recorder sees it die, ends the browser it left behind, takes up the pieces on the disk, and joins again.',
    victims: async child => [child],
    ending: 'recorder_died',
  }),
]
