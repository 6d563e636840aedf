// Bytes into a program's standard input, as fast as it takes them.
import type { Writable } from 'node:stream'
import { untilOver } from './until-over.ts'

/**
 * Writes everything that comes and then closes the input. Stops at once when `over` settles, even while the source
 * gives nothing: `pipeline()` would wait for it. Throws what the source throws, the input closed all the same.
 */
export async function feedChild(
  source: AsyncIterable<Uint8Array>,
  stdin: Writable,
  over: Promise<unknown>,
): Promise<void> {
  const items = source[Symbol.asyncIterator]()
  const orOver = untilOver(over)
  try {
    while (true) {
      const item = await orOver(items.next())
      if (item === undefined || item.done) return
      if (!stdin.write(item.value)) await orOver(drained(stdin))
    }
  } finally {
    stdin.end()
    // Tells the source that nobody reads on. A source that hangs answers never, so nobody waits for it.
    items.return?.()?.catch(() => undefined)
  }
}

function drained(stdin: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      stdin.off('drain', done).off('close', done)
      resolve()
    }
    if (stdin.destroyed) resolve()
    else stdin.on('drain', done).on('close', done)
  })
}
