import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, freemem } from 'node:os'
import type { Clock } from '../clock.ts'

/** What is known of the machine when one more meeting is due. */
export interface MachineLoad {
  cores: number
  /** Cores busy with anything, over the last seconds; null before the first measurement. */
  busyCores: number | null
  freeBytes: number
}

export interface RunningVisit {
  /** How long it has been running. */
  ageMs: number
}

export interface AdmissionLimits {
  slots: number
  /** What one visit takes once it records. */
  coresOfOne: number
  bytesOfOne: number
}

export type Admission = { ok: true } | { ok: false; because: string }

/** Until then a visit has not shown in the measured load what it will take. */
const SETTLED_AFTER_MS = 25_000
/** Above this share of the machine frames begin to be lost (`npm run bench:many`). */
const FULL_SHARE = 0.92

/**
 * May one more recording begin on this machine? Refuses the one that would take frames from those that run: by slots, by
 * the measured load together with what visits that have just begun will still take, and by memory. A machine without a
 * recording always takes one.
 */
export function mayBegin(
  load: MachineLoad,
  running: readonly RunningVisit[],
  { slots, coresOfOne, bytesOfOne }: AdmissionLimits,
): Admission {
  if (running.length >= slots) return { ok: false, because: `all ${slots} slots are taken` }
  if (running.length === 0) return { ok: true }
  if (load.freeBytes < bytesOfOne)
    return { ok: false, because: `only ${Math.round(load.freeBytes / 1e6)} MB of memory are free` }
  const young = running.filter(({ ageMs }) => ageMs < SETTLED_AFTER_MS).length
  const settled = running.length - young
  // What is settled shows in the measurement; the rest is reckoned, and never less than the visits themselves.
  const measured = Math.max(load.busyCores ?? 0, settled * coresOfOne * 0.5)
  const expected = measured + (young + 1) * coresOfOne
  const most = load.cores * FULL_SHARE
  return expected <= most
    ? { ok: true }
    : {
        ok: false,
        because: `one more would need ${expected.toFixed(1)} of ${load.cores} cores`,
      }
}

/** CPU seconds per second of one visit at 1280×720 and 30 frames (`npm run bench:capture`: 0.8), by size and rate. */
export function expectedCores({
  width,
  height,
  fps,
}: {
  width: number
  height: number
  fps: number
}): number {
  const FIXED = 0.25
  return FIXED + 0.6 * ((width * height * fps) / (1280 * 720 * 30))
}

/** Chromium with a call of some people, and our child. */
export const EXPECTED_BYTES = 900_000_000

/** A machine that is asked nothing: slots alone decide. */
export const UNMEASURED: MachineLoad = {
  cores: Number.POSITIVE_INFINITY,
  busyCores: null,
  freeBytes: Number.POSITIVE_INFINITY,
}

const SAMPLE_EVERY_MS = 2_000
const SAMPLES_KEPT = 5

/** Measures the machine until `signal`, and answers what it is like now. */
export function watchLoad(clock: Clock, signal: AbortSignal): { now(): MachineLoad; over: Promise<void> } {
  const samples: { busyMs: number; totalMs: number }[] = []
  let freeBytes = freemem()
  const over = (async () => {
    while (!signal.aborted) {
      samples.push(readCpuTimes())
      if (samples.length > SAMPLES_KEPT) samples.shift()
      freeBytes = await availableBytes()
      await clock.sleep(SAMPLE_EVERY_MS, signal).catch(() => undefined)
    }
  })()
  return {
    over,
    now() {
      const cores = availableParallelism()
      const [first, last] = [samples[0], samples.at(-1)]
      if (!first || !last || last.totalMs <= first.totalMs) return { cores, busyCores: null, freeBytes }
      const share = (last.busyMs - first.busyMs) / (last.totalMs - first.totalMs)
      return { cores, busyCores: share * cpus().length, freeBytes }
    },
  }
}

function readCpuTimes(): { busyMs: number; totalMs: number } {
  let busyMs = 0
  let totalMs = 0
  for (const { times } of cpus()) {
    const all = Object.values(times).reduce((sum, value) => sum + value, 0)
    totalMs += all
    busyMs += all - times.idle
  }
  return { busyMs, totalMs }
}

// What the kernel would give a new program, which is more than what nobody uses (proc_meminfo(5)).
async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const [, kilobytes] = text.match(/^MemAvailable:\s+(\d+) kB/m) ?? []
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024
}
