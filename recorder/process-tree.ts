// Who descends from a process, read from /proc (Linux).
import { readdir, readFile } from 'node:fs/promises'

export interface ProcessStat {
  pid: number
  parentPid: number
  groupId: number
  /** Clock ticks since boot; with the pid it names a process for good, since pids are used again. */
  startTicks: number
  /** User and system time of the process itself, in clock ticks (100 a second on Linux). */
  ownTicks: number
  /** The same of its children that have ended and were waited for. */
  waitedChildrenTicks: number
  residentPages: number
}

/** One process, or undefined when it is gone. A zombie counts as gone. */
export async function readProcessStat(pid: number): Promise<ProcessStat | undefined> {
  let text: string
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
  return isOver(text) ? undefined : parseProcessStat(pid, text)
}

// The name stands in brackets and may hold blanks and brackets itself (proc_pid_stat(5)).
const afterName = (text: string) => text.slice(text.lastIndexOf(')') + 2)
const isOver = (text: string) => 'ZX'.includes(afterName(text)[0] ?? 'X')

/** Reads the text of `/proc/<pid>/stat`. */
export function parseProcessStat(pid: number, text: string): ProcessStat {
  const fields = afterName(text).split(' ')
  const at = (field: number) => Number(fields[field - 3])
  return {
    pid,
    parentPid: at(4),
    groupId: at(5),
    startTicks: at(22),
    ownTicks: at(14) + at(15),
    waitedChildrenTicks: at(16) + at(17),
    residentPages: at(24),
  }
}

/** The process and all that descend from it now, the root first. Empty when the root is gone. */
export async function listProcessTree(rootPid: number): Promise<ProcessStat[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const stats = (await Promise.all(pids.map(readProcessStat))).filter(stat => stat !== undefined)
  const children = Map.groupBy(stats, stat => stat.parentPid)
  const root = stats.find(stat => stat.pid === rootPid)
  const tree = root === undefined ? [] : [root]
  for (const member of tree) tree.push(...(children.get(member.pid) ?? []))
  return tree
}

/** Which of these processes still run: the same pid with the same start. */
export async function stillRunning(processes: readonly ProcessStat[]): Promise<ProcessStat[]> {
  const now = await Promise.all(processes.map(({ pid }) => readProcessStat(pid)))
  return processes.filter((process, index) => now[index]?.startTicks === process.startTicks)
}

/** All processes of a process group, also when the one that led it is gone. */
export async function listProcessGroup(groupId: number): Promise<ProcessStat[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const stats = await Promise.all(pids.map(readProcessStat))
  return stats.filter(stat => stat !== undefined).filter(stat => stat.groupId === groupId)
}
