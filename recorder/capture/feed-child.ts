// Bytes into a program's standard input, as fast as it takes them.
import type { Writable } from 'node:stream'

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

/**
 * Waits for one thing after another, or for `over`: undefined then. Not `Promise.race`, which would leave a note at `over`
 * each time, and with it every chunk that was ever written, for as long as the program runs.
 */
function untilOver(over: Promise<unknown>): <T>(work: Promise<T>) => Promise<T | undefined> {
  let isOver = false
  let giveUp = () => {}
  const end = () => {
    isOver = true
    giveUp()
  }
  over.then(end, end)
  return work =>
    new Promise((resolve, reject) => {
      giveUp = () => resolve(undefined)
      work.then(resolve, reject)
      if (isOver) giveUp()
    })
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
