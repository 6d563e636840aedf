import { randomBytes } from 'node:crypto'
import { cp, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

// What a profile may lose: caches, and the locks of the Chromium that last used it.
const LEFT_BEHIND = new Set([
  'Cache',
  'Code Cache',
  'GPUCache',
  'GrShaderCache',
  'ShaderCache',
  'DawnGraphiteCache',
  'DawnWebGPUCache',
  'Crashpad',
  'component_crx_cache',
  'BrowserMetrics',
])
const worthKeeping = (path: string) =>
  !LEFT_BEHIND.has(basename(path)) && !basename(path).startsWith('Singleton')

/** There is no profile of the bot; the message says how to make one. */
export class NoBotProfile extends Error {
  readonly code = 'no_bot_profile'
}

export interface BorrowedProfile {
  /** A copy of its own for one browser: Chromium locks a profile, and one account may be in several calls. */
  dir: string
  /** After a clean end: keeps the session that Google renewed meanwhile (meet-web-facts.md §11.4). */
  giveBack(): Promise<void>
}

/**
 * Copies the signed-in profile for one visit.
 * @throws {NoBotProfile}
 */
export async function borrowProfile(seedDir: string, workDir: string): Promise<BorrowedProfile> {
  try {
    await stat(join(seedDir, 'Local State'))
  } catch (cause) {
    throw new NoBotProfile(
      `There is no browser profile of the bot in ${seedDir}. Run "npm run sign-in-bot" or set TESTIGO_BOT_PROFILE; to join as a guest set TESTIGO_BOT_GUEST=on.`,
      { cause },
    )
  }
  const dir = join(workDir, 'profile')
  await cp(seedDir, dir, { recursive: true, filter: worthKeeping })
  return {
    dir,
    async giveBack() {
      const mark = randomBytes(4).toString('hex')
      const [fresh, old] = ['new', 'old'].map(word =>
        join(dirname(seedDir), `.${basename(seedDir)}.${word}-${mark}`),
      ) as [string, string]
      await cp(dir, fresh, { recursive: true, filter: worthKeeping })
      await rename(seedDir, old)
      await rename(fresh, seedDir)
      await rm(old, { recursive: true, force: true })
    },
  }
}
