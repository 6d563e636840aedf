// When somebody in the call speaks, as the page's sound marks show it (meet-dom-structures.md §5.3).
import type { Clock } from '../../clock.ts'
import type { MeetPage } from './meet-page.ts'

const LISTEN_MS = 5_000
/** Speech that goes on is told again after this. */
const BETWEEN_MS = 250
const PAGE_BUSY_MS = 1_000

/** Calls back with the moment whenever sound marks move, until aborted or the page is gone. Never throws. */
export async function watchSpeech(
  page: Pick<MeetPage, 'nextSpeech' | 'isGone'>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  onSpeech: (at: number) => void,
): Promise<void> {
  const aborted = Promise.withResolvers<'aborted'>()
  const onAbort = () => aborted.resolve('aborted')
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  while (!page.isGone()) {
    const heard = await Promise.race([aborted.promise, page.nextSpeech(LISTEN_MS)])
    if (heard === 'aborted') return
    if (heard === true) onSpeech(clock.now())
    const pause = clock.sleep(heard === 'unknown' ? PAGE_BUSY_MS : BETWEEN_MS)
    if ((await Promise.race([aborted.promise, pause])) === 'aborted') return
  }
}
