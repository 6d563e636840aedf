// What happens in the call, or to its page.
import { recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'

const AFTER_RECOVERY_MS = 4_000

function networkCut(
  row: Pick<Row, 'name' | 'fault' | 'happens'> & { shortMs: number; namedMs: number; rejoins: boolean },
): Row {
  const { shortMs, namedMs, rejoins, ...words } = row
  return {
    ...words,
    mostLostSeconds: 1,
    mostRecoverySeconds: 30,
    async run(ground) {
      const one = await recordedCall(ground, row.name)
      const faultAtMs = Date.now()
      one.call.cutNetwork()
      await one.goesOn(ground.full ? namedMs : shortMs)
      one.call.restoreNetwork()
      const backAtMs = Date.now()
      await one.inCallAgain(backAtMs)
      await one.recordsAgain(rejoins ? 1 : 0)
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      const seen = await one.measure({
        faultAtMs,
        backAtMs,
        interrupts: true,
        // While the network is gone every attempt to come back is lost as well.
        ...(rejoins ? {} : { attempts: ['call_ended_by_host'], explained: false }),
      })
      if (rejoins && seen.attempts.length < 2) seen.why.push('it never joined again')
      return seen
    },
  }
}

export const callRows: Row[] = [
  networkCut({
    name: 'network-30s',
    fault: 'The network is cut for 30 s',
    happens: "Meet's page reconnects by itself; the bot waits for it. The picture stands still meanwhile.",
    shortMs: 15_000,
    namedMs: 30_000,
    rejoins: false,
  }),
  networkCut({
    name: 'network-3min',
    fault: 'The network is cut for 3 min',
    happens:
      'After a minute without connection the bot loads the page anew, again and again until it is back in the call.',
    shortMs: 75_000,
    namedMs: 180_000,
    rejoins: true,
  }),
  {
    name: 'page-reloads',
    fault: "The call's page reloads itself",
    happens: 'The bot finds itself before the call and joins again.',
    mostLostSeconds: 1,
    mostRecoverySeconds: 30,
    async run(ground) {
      const one = await recordedCall(ground, 'page-reloads')
      const faultAtMs = Date.now()
      one.call.reload()
      await one.inCallAgain(faultAtMs)
      await one.recordsAgain(0)
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      return one.measure({ faultAtMs, interrupts: true, explained: false })
    },
  },
  {
    name: 'page-frozen',
    fault: "The call's page stops answering",
    happens: 'After 10 s of silence its browser is ended, and a new one joins.',
    mostLostSeconds: 1,
    mostRecoverySeconds: 30,
    async run(ground) {
      const one = await recordedCall(ground, 'page-frozen')
      const faultAtMs = Date.now()
      one.call.freeze()
      await one.recordsAgain(1)
      await one.goesOn(AFTER_RECOVERY_MS)
      one.end()
      return one.measure({
        faultAtMs,
        // Its pictures go on by themselves for a while; they end with its browser.
        noticedMs: 15_000,
        interrupts: true,
        attempts: ['page_frozen', 'call_ended_by_host'],
        reasons: ['page_frozen'],
      })
    },
  },
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
