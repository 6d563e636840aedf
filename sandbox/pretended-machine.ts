// Loaded into a service before its own code (`node --import`): makes its process believe that it runs on another
// machine, with a name and a wall clock of its own.
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'

/** Name of the machine. */
const hostName = process.env.SANDBOX_HOST_NAME
/** File that holds how many milliseconds its wall clock is ahead; may be written while the process runs. */
const clockFile = process.env.SANDBOX_CLOCK_FILE

const LOOK_EVERY_MS = 100

if (hostName !== undefined && hostName !== '') {
  os.hostname = () => hostName
  syncBuiltinESMExports()
}
if (clockFile !== undefined && clockFile !== '') stepClock(clockFile)

// As when a machine's clock is set: the wall clock jumps; timers and performance.now(), which are monotonic, do not.
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
