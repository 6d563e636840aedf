import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const LEFT_FOR_MS = 24 * 3_600_000
/** Folders of jobs, which are copies of what is in the bucket; an attempt's own folder never goes this way. */
const OF_JOBS = /^(finish|drive|native)-/

/** Removes what killed jobs left on this disk a day ago and more. @returns the names */
export async function clearOldWork(workRoot: string, now: number): Promise<string[]> {
  const removed: string[] = []
  for (const name of await readdir(workRoot).catch(noFolder)) {
    if (!OF_JOBS.test(name)) continue
    const path = join(workRoot, name)
    const { mtimeMs } = await stat(path)
    if (now - mtimeMs < LEFT_FOR_MS) continue
    await rm(path, { recursive: true, force: true })
    removed.push(name)
  }
  return removed
}

function noFolder(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}
