// CPU time of whole process trees, children that have ended included.
import { execFileSync } from 'node:child_process'
import { listProcessTree } from '../../recorder/process-tree.ts'

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** CPU seconds that these processes and all that descend from them have used since they began. */
export async function treeCpuSeconds(rootPids: readonly number[]): Promise<number> {
  const trees = await Promise.all(rootPids.map(listProcessTree))
  const ticks = trees
    .flat()
    .reduce((sum, { ownTicks, waitedChildrenTicks }) => sum + ownTicks + waitedChildrenTicks, 0)
  return ticks / TICKS_PER_SECOND
}

/** CPU seconds of this process alone: browser control, the WebSocket and the cutting of segments run in it. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
