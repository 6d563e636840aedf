// Why Chromium did not start, in a sentence that says what to do.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from './capture/child-process.ts'
import { CHROMIUM_FOLDER } from './clear-work.ts'

/** Chromium did not start; the message says what to do. */
export class BrowserDidNotStart extends Error {
  readonly reason: 'not-found' | 'profile-in-use' | 'sandbox-blocked' | 'no-display' | 'other'

  constructor(reason: BrowserDidNotStart['reason'], message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'BrowserDidNotStart'
    this.reason = reason
  }
}

interface Started {
  chromiumPath: string
  chromiumArgs: readonly string[]
  profileDir?: string
  sandbox: boolean
}

const BLAMES_SANDBOX = /without --no-sandbox|usable sandbox|setuid sandbox|Failed to move to new namespace/i
const PROBE_LIMIT_MS = 10_000

/** Puts a failed start into words. Where Chromium did not say why, it is started twice more to see if its sandbox is. */
export async function explainLaunchFailure(error: unknown, settings: Started): Promise<BrowserDidNotStart> {
  const text = error instanceof Error ? error.message : String(error)
  if (/not found at the configured executablePath|ENOENT/.test(text)) {
    return new BrowserDidNotStart(
      'not-found',
      `There is no Chromium at ${settings.chromiumPath}. Install the package "chromium" or set CHROMIUM_PATH.`,
      error,
    )
  }
  if (/already running for/.test(text)) {
    return new BrowserDidNotStart(
      'profile-in-use',
      `Another Chromium uses the profile ${settings.profileDir}. Stop it or use another profile.`,
      error,
    )
  }
  if (/Missing X server/.test(text)) {
    return new BrowserDidNotStart(
      'no-display',
      'A window was asked for and there is no display (DISPLAY).',
      error,
    )
  }
  if (settings.sandbox && (BLAMES_SANDBOX.test(text) || (await onlyRunsWithoutSandbox(settings)))) {
    return new BrowserDidNotStart(
      'sandbox-blocked',
      "Chromium's own sandbox cannot be used here: the recorder runs as root, or its container or host forbids user " +
        'namespaces. Run it as an ordinary user, its container with the shipped deploy/chromium-seccomp.json, or set ' +
        'TESTIGO_CHROMIUM_SANDBOX=off.',
      error,
    )
  }
  return new BrowserDidNotStart('other', `Chromium did not start: ${text.split('\n')[0]}`, error)
}

/** A Chromium whose sandbox is forbidden may just vanish ("Target closed"); nothing but the comparison tells then. */
async function onlyRunsWithoutSandbox({ chromiumPath, chromiumArgs }: Started): Promise<boolean> {
  const opensPage = (args: readonly string[]) => showsBlankPage(chromiumPath, [...chromiumArgs, ...args])
  return !(await opensPage([])) && (await opensPage(['--no-sandbox']))
}

async function showsBlankPage(chromiumPath: string, args: readonly string[]): Promise<boolean> {
  const profile = await mkdtemp(join(tmpdir(), CHROMIUM_FOLDER))
  try {
    const env = { ...process.env, TMPDIR: profile }
    const probe = ['--headless=new', `--user-data-dir=${profile}`, ...args, '--dump-dom', 'about:blank']
    await using child = startChild(chromiumPath, probe, {
      name: 'Chromium',
      timeoutMs: PROBE_LIMIT_MS,
      env,
    })
    let shown = ''
    for await (const text of child.stdout) shown += String(text)
    const { reason, code } = await child.exit
    return reason === 'exited' && code === 0 && shown.includes('<html')
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 10 })
  }
}
