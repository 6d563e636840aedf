import { existsSync } from 'node:fs'

const usualPaths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
]

/** The Chromium to start: the given path, `CHROMIUM_PATH`, or the first of the usual places. */
export function findChromium(chromiumPath?: string): string {
  const found = [chromiumPath, process.env.CHROMIUM_PATH, ...usualPaths].find(
    path => path !== undefined && path !== '' && existsSync(path),
  )
  if (found === undefined)
    throw new Error('No Chromium found: install the chromium package or set CHROMIUM_PATH.')
  return found
}

/** Chromium's own sandbox cannot start as root. */
export const rootFlags: string[] = process.getuid?.() === 0 ? ['--no-sandbox'] : []
