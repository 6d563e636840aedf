import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
// biome-ignore lint/style/noRestrictedImports: tests are where our side and the outside world meet.
import { type GoogleOptions, type GoogleSandbox, startGoogle } from '../sandbox/google/server.ts'
import { createGoogle, type Google, type GoogleSettings } from './google.ts'

export interface TestGoogle {
  sandbox: GoogleSandbox
  settings: GoogleSettings
  google: Google
  /** A folder that goes away with the test. */
  folder: string
  /** Another process, with nothing remembered. */
  another(changes?: { settings?: Partial<GoogleSettings>; clock?: Clock }): Google
  /** How often a method was asked for, by the end of its name. */
  asked(method: string): number
}

/** Google on loopback for one test, and our side of it with a key file. Everything ends with the test. */
export async function openTestGoogle(
  options: Partial<GoogleOptions> = {},
  changes: { settings?: Partial<GoogleSettings>; clock?: Clock } = {},
): Promise<TestGoogle> {
  const folder = await mkdtemp(join(tmpdir(), 'testigo-google-'))
  const sandbox = await startGoogle({ driveDir: join(folder, 'drive'), conferencePendingMs: 0, ...options })
  onTestFinished(async () => {
    await sandbox.stop()
    await rm(folder, { recursive: true })
  })
  const keyFile = join(folder, 'key.json')
  await writeFile(keyFile, JSON.stringify(sandbox.keyFile))
  const { google: defaults } = readConfig({
    TESTIGO_GOOGLE_KEY_FILE: keyFile,
    TESTIGO_GOOGLE_ORGANIZER: 'agenda@clinica.example',
    TESTIGO_GOOGLE_DRIVE_USER: 'archivo@clinica.example',
    TESTIGO_BOT_EMAIL: 'testigo@clinica.example',
    TESTIGO_GOOGLE_TOKEN_URL: sandbox.baseUrls.token,
    TESTIGO_GOOGLE_API_URL: sandbox.baseUrls.calendar,
    TESTIGO_GOOGLE_MEET_URL: sandbox.baseUrls.meet,
    TESTIGO_GOOGLE_IAM_URL: sandbox.baseUrls.iam,
    TESTIGO_GOOGLE_METADATA_URL: sandbox.baseUrls.metadata,
  })
  const settings = { ...defaults, workspaceEventsUrl: sandbox.baseUrls.workspaceEvents, ...changes.settings }
  const another: TestGoogle['another'] = (other = {}) =>
    createGoogle(
      { ...settings, ...other.settings },
      { log: createLog('silent'), clock: other.clock ?? changes.clock ?? hurriedClock().clock },
    )
  return {
    sandbox,
    settings,
    google: another(),
    folder,
    another,
    asked: method => sandbox.state.requests.filter(request => request.method.endsWith(method)).length,
  }
}

/** A clock whose waits are over at once and are counted as time gone by. */
export function hurriedClock(): { clock: Clock; waitsMs: number[] } {
  const waitsMs: number[] = []
  let skippedMs = 0
  const clock: Clock = {
    now: () => systemClock.now() + skippedMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      waitsMs.push(ms)
      skippedMs += ms
    },
  }
  return { clock, waitsMs }
}
