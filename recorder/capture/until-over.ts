/**
 * Waits for one thing after another, or for `over`: undefined then. Not `Promise.race`, which would leave a note at `over`
 * each time, and with it every chunk that was ever written, for as long as the program runs.
 */
export function untilOver(over: Promise<unknown>): <T>(work: Promise<T>) => Promise<T | undefined> {
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
