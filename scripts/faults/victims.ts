// The processes that faults hit: found by what they descend from, ended by their own id.
import { readdir, readFile } from 'node:fs/promises'
import { listProcessTree } from '../../recorder/process-tree.ts'

/** The process that a fault is meant for is not there. */
export class NoVictim extends Error {
  readonly code = 'no_victim'
}

/** The child process that carries out an attempt. */
export async function recordingChild(attemptId: string): Promise<number> {
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)) {
    const words = await commandLine(pid)
    if (words.includes(attemptId) && words.some(word => word.endsWith('/recorder/record.ts'))) return pid
  }
  throw new NoVictim(`no process carries out attempt ${attemptId}`)
}

/** Chromium's first process below a recording's child. */
export const browserOf = (childPid: number) =>
  findBelow(
    childPid,
    'a browser',
    words => isChromium(words) && !words.some(word => word.startsWith('--type=')),
  )

/** The processes that draw web pages, without the one of our extension. */
export async function renderersOf(childPid: number): Promise<number[]> {
  return allBelow(
    childPid,
    'a renderer',
    words => isChromium(words) && words.includes('--type=renderer') && !words.includes('--extension-process'),
  )
}

/** ffmpeg below a recording's child. */
export const encoderOf = (childPid: number) =>
  findBelow(childPid, 'ffmpeg', words => words[0]?.split('/').at(-1) === 'ffmpeg')

/** Sends a signal to a process and to all that descend from it, the root first. Those that are gone are left out. */
export async function signalTree(rootPid: number, signal: NodeJS.Signals): Promise<number[]> {
  // Stopped first, the root before all: what is killed one by one would start others in between.
  for (let known = 0; ; ) {
    const pids = (await listProcessTree(rootPid)).map(({ pid }) => pid)
    signalAll(pids, 'SIGSTOP')
    if (pids.length > known) {
      known = pids.length
      continue
    }
    if (signal !== 'SIGSTOP') signalAll(pids, signal)
    return pids
  }
}

/** Sends a signal to these processes, as far as they are still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) signalOne(pid, signal)
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Does a process still run? One that has ended and was not waited for does not. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await listProcessTree(pid)).length > 0
}

async function findBelow(rootPid: number, what: string, is: (words: string[]) => boolean): Promise<number> {
  const [pid] = await allBelow(rootPid, what, is)
  return pid ?? 0
}

async function allBelow(rootPid: number, what: string, is: (words: string[]) => boolean): Promise<number[]> {
  const found: number[] = []
  for (const { pid } of await listProcessTree(rootPid)) if (is(await commandLine(pid))) found.push(pid)
  if (found.length === 0) throw new NoVictim(`there is no ${what} below process ${rootPid}`)
  return found
}

const isChromium = (words: string[]) => /^(chromium|chrome)/.test(words[0]?.split('/').at(-1) ?? '')

/** Chromium writes its words with blanks between them, others with zeros. */
async function commandLine(pid: number): Promise<string[]> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split(/[\0 ]/).filter(word => word !== '')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}
