import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What the temporary folder of a Chromium begins with. */
export const CHROMIUM_FOLDER = 'testigo-chromium-'

const HOUR_MS = 3_600_000
/** Folders of jobs, which are copies of what is in the bucket; an attempt's own folder never goes this way. */
const OF_JOBS = { names: /^(finish|drive|native)-/, leftForMs: 24 * HOUR_MS }
/** A call lasts up to 28 h, and its Chromium does not touch the folder itself again. */
const OF_CHROMIUM = { names: new RegExp(`^${CHROMIUM_FOLDER}`), leftForMs: 30 * HOUR_MS }

/** Removes what killed jobs left in the work folder, a day ago and more. @returns the names */
export function clearOldWork(workRoot: string, now: number): Promise<string[]> {
  return clear(workRoot, OF_JOBS, now)
}

/** Removes what killed browsers left in the system's temporary folder, longer ago than a call can last. @returns the names */
export function clearOldBrowsers(temporaryRoot: string, now: number): Promise<string[]> {
  return clear(temporaryRoot, OF_CHROMIUM, now)
}

async function clear(
  root: string,
  { names, leftForMs }: { names: RegExp; leftForMs: number },
  now: number,
): Promise<string[]> {
  const removed: string[] = []
  for (const name of await readdir(root).catch(noFolder)) {
    if (!names.test(name)) continue
    const path = join(root, name)
    // Somebody else may remove it just now.
    const found = await stat(path).catch(noFolder)
    if (!('mtimeMs' in found) || now - found.mtimeMs < leftForMs) continue
    await rm(path, { recursive: true, force: true })
    removed.push(name)
  }
  return removed
}

function noFolder(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOENT') return []
  throw error
}
