// The machine of a recorder: its disk and its clock.
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { StageRecorder } from '../../../sandbox/journeys/stage-recorder.ts'
import { recordedCall } from '../one-call.ts'
import type { Row } from '../row.ts'
import { findSmallDisk } from '../small-disk.ts'

const DISK_BYTES = 96 * 1024 * 1024
/** Whatever is larger is a disk that others use. */
const MOST_BYTES = 512 * 1024 * 1024
const FULL_MS = 15_000
const NAMED_FULL_MS = 300_000
const FILL_EVERY_MS = 50
const STEP_MS = 300_000
const AFTER_MS = 4_000

const diskFull: Row = {
  name: 'disk-full',
  fault: "The recorder's disk is full",
  happens:
    'Segments wait in memory and go up from there; of those that wait on the disk the oldest lose picture before a second of the call is lost.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const { stage } = ground
    // Only the one with the small disk is left to take the meeting.
    for (const other of stage.recorders) await other.stop()
    const { place, note } = findSmallDisk(DISK_BYTES, 'testigo-small-disk')
    // Chromium keeps its shared memory elsewhere: /dev/shm may be the disk that is full.
    const chromium = `${stage.env.CHROMIUM_ARGS} --disable-dev-shm-usage`
    await using recorder = await stage.addRecorder({
      name: 'small-disk',
      ...place,
      env: { CHROMIUM_ARGS: chromium },
    })
    const one = await recordedCall(ground, 'disk-full', { beforeFaultMs: 4_000 })
    const faultAtMs = Date.now()
    const untilMs = performance.now() + (ground.full ? NAMED_FULL_MS : FULL_MS)
    const filler = new DiskFiller(recorder)
    while (performance.now() < untilMs) {
      filler.fill()
      await one.goesOn(FILL_EVERY_MS)
    }
    filler.free()
    await one.goesOn(AFTER_MS)
    one.end()
    const seen = await one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
    return { ...seen, ...(note ? { note } : {}) }
  },
}

/** Fills the recorder's own file system to the last byte, and again what has become free. */
class DiskFiller {
  readonly #path: string
  readonly #file: number

  constructor(recorder: StageRecorder) {
    // Its mounts are seen through its process.
    const disk = join('/proc', String(recorder.process.pid), 'root', recorder.dataDir)
    const { bsize, blocks } = statfsSync(disk)
    if (bsize * blocks > MOST_BYTES) throw new Error(`${recorder.name} has no small disk of its own`)
    this.#path = join(disk, 'filler')
    this.#file = openSync(this.#path, 'w')
  }

  fill(): void {
    for (const size of [1024 * 1024, 4096, 1]) writeUntilFull(this.#file, Buffer.alloc(size, 1))
  }

  free(): void {
    closeSync(this.#file)
    rmSync(this.#path)
  }
}

function writeUntilFull(file: number, block: Buffer): void {
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

function clockStep(name: string, words: string, stepMs: number): Row {
  return {
    name,
    fault: `The recorder's clock is stepped by 5 min, ${words}`,
    happens:
      "Nothing: signs of life are counted, waits are monotonic, and times are told by the database's clock.",
    mostLostSeconds: 1,
    mostRecoverySeconds: 0,
    async run(ground) {
      const one = await recordedCall(ground, name)
      const recorder = ground.recorderOf(await one.living())
      const faultAtMs = Date.now()
      await recorder.setClockAhead(stepMs)
      await one.goesOn(15_000)
      one.end()
      return one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
    },
  }
}

export const machineRows: Row[] = [
  diskFull,
  clockStep('clock-forward', 'forward', STEP_MS),
  clockStep('clock-back', 'back', -STEP_MS),
]
