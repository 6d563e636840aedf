// What happens in the call, or to its page.
import { recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'

const AFTER_RECOVERY_MS = 4_000

export const callRows: Row[] = [
  {
    name: 'bot-removed',
    fault: 'The bot is removed from the call',
    happens: 'Meet says so; the bot comes back once.',
    mostLostSeconds: 1,
    mostRecoverySeconds: 30,
    async run(ground) {
      const one = await recordedCall(ground, 'bot-removed')
      const faultAtMs = Date.now()
      one.call.remove()
      await one.recordsAgain(1)
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      return one.measure({
        faultAtMs,
        interrupts: true,
        attempts: ['removed_from_call', 'call_ended_by_host'],
        reasons: ['removed_from_call'],
      })
    },
  },
]
