// Which process holds a folder, and whether it still lives (Linux, /proc).
import { readFileSync, readlinkSync, utimes, writeFileSync } from 'node:fs'
import { link, readFile, rename, rm, stat } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { threadId } from 'node:worker_threads'
import { parseProcessStat, readProcessStat } from '../process-tree.ts'

interface Holder {
  pid: number
  /** Start of the process in clock ticks since boot: a pid that is used again has another one. */
  startTicks: number
  /** Boot of the machine and PID namespace that `pid` and `startTicks` belong to. */
  place: string
  /** Gave the folder up although it may live on. */
  released: boolean
}

export interface Hold {
  /** Gives the folder up: whoever looks next may take it. */
  release(): void
}

const SIGN_OF_LIFE_MS = 5000
/** A holder that runs where its pid cannot be looked up is gone when its file was not touched for this long. */
const SILENT_MS = 30_000

/** Writes this process down as the holder, and touches the file while it holds. Throws when it cannot be written. */
export function hold(path: string): Hold {
  writeFileSync(path, JSON.stringify(thisProcess()))
  return keepTouching(path)
}

/**
 * Becomes the holder if nobody living is.
 * @returns undefined when somebody else is
 */
export async function tryHold(path: string): Promise<Hold | undefined> {
  const mark = `${process.pid}-${threadId}-${process.hrtime.bigint()}`
  const draft = `${path}.${mark}`
  writeFileSync(draft, JSON.stringify(thisProcess()))
  try {
    if (await linkNew(draft, path)) return keepTouching(path)
    const judged = await readHolder(path)
    if (!(await isHolderGone(path))) return undefined
    // Two may find it abandoned: only one of them gets to move it away, and puts back what is not what was judged.
    const stale = `${path}.stale-${mark}`
    if (!(await movedAway(path, stale))) return undefined
    const same = isDeepStrictEqual(await readHolder(stale), judged)
    if (!same) await linkNew(stale, path)
    await rm(stale)
    if (!same) return undefined
    return (await linkNew(draft, path)) ? keepTouching(path) : undefined
  } finally {
    await rm(draft, { force: true })
  }
}

/**
 * Is the process that holds this gone? Where its pid means nothing to us (another container, an earlier boot) it counts
 * as gone when it has not touched its file for a while, by this process's own steady clock: ask again later.
 * @param path no file, or one that cannot be read, is held by nobody
 */
export async function isHolderGone(path: string, silentMs = SILENT_MS): Promise<boolean> {
  const holder = await readHolder(path)
  if (holder === undefined || holder.released) return true
  if (holder.place === thisProcess().place) {
    const now = await readProcessStat(holder.pid)
    return now?.startTicks !== holder.startTicks
  }
  return await isSilent(path, silentMs)
}

/** Who holds this, living or not; `here`: the pid means a process of this machine as we see it. Undefined: nobody known. */
export async function holderOf(path: string): Promise<{ pid: number; here: boolean } | undefined> {
  const holder = await readHolder(path)
  return holder && { pid: holder.pid, here: holder.place === thisProcess().place }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const lastTouches = new Map<string, { mtimeMs: number; seenAtMs: number }>()

async function isSilent(path: string, silentMs: number): Promise<boolean> {
  const { mtimeMs } = await stat(path)
  const before = lastTouches.get(path)
  if (before?.mtimeMs === mtimeMs) {
    const silent = performance.now() - before.seenAtMs > silentMs
    if (silent) lastTouches.delete(path)
    return silent
  }
  lastTouches.set(path, { mtimeMs, seenAtMs: performance.now() })
  return false
}

let self: Holder | undefined
function thisProcess(): Holder {
  self ??= {
    pid: process.pid,
    startTicks: parseProcessStat(process.pid, readFileSync('/proc/self/stat', 'utf8')).startTicks,
    place: `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`,
    released: false,
  }
  return self
}

function keepTouching(path: string): Hold {
  const touch = setInterval(() => {
    const now = new Date()
    // A file that is gone was taken by somebody who thought us dead: nothing to touch any more.
    utimes(path, now, now, () => undefined)
  }, SIGN_OF_LIFE_MS)
  touch.unref()
  return {
    release() {
      clearInterval(touch)
      try {
        writeFileSync(path, JSON.stringify({ ...thisProcess(), released: true }))
      } catch {
        // The folder is gone, or the full disk left the file empty: held by nobody either way.
      }
    },
  }
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function movedAway(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
