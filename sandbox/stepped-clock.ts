// Loaded into a service before its own code (`node --import`): its wall clock can be stepped from outside, as when a
// machine's clock is set. Timers and performance.now(), which are monotonic, go on.
import { readFileSync } from 'node:fs'

/** File that holds how many milliseconds the wall clock is ahead; may be written while the process runs. */
const clockFile = process.env.SANDBOX_CLOCK_FILE

const LOOK_EVERY_MS = 100

if (clockFile !== undefined && clockFile !== '') stepClock(clockFile)

function stepClock(file: string): void {
  const RealDate = Date
  let aheadMs = 0
  const look = () => {
    const found = Number(readFileSync(file, 'utf8'))
    if (Number.isFinite(found)) aheadMs = found
  }
  look()
  setInterval(look, LOOK_EVERY_MS).unref()
  const now = () => RealDate.now() + aheadMs
  const SteppedDate = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    apply: () => new RealDate(now()).toString(),
    get: (target, key, receiver) => (key === 'now' ? now : Reflect.get(target, key, receiver)),
  })
  RealDate.prototype.constructor = SteppedDate
  globalThis.Date = SteppedDate
}
