import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type GoogleOptions, type GoogleSandbox, startGoogle } from './server.ts'

/** A sandbox for one test file, with a Drive folder of its own that goes away with it. */
export async function openGoogle(options: Omit<GoogleOptions, 'driveDir'> = {}): Promise<GoogleSandbox> {
  const driveDir = await mkdtemp(path.join(tmpdir(), 'testigo-drive-'))
  const google = await startGoogle({ conferencePendingMs: 0, ...options, driveDir })
  const stop = async () => {
    try {
      await google.stop()
    } finally {
      await rm(driveDir, { recursive: true, force: true })
    }
  }
  return { ...google, stop, [Symbol.asyncDispose]: stop }
}
