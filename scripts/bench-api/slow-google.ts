// The sandbox's Google, as far away as the real one: every answer comes at a set time after its request.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startGoogle } from '../../sandbox/google/server.ts'

/** What the process tells once it is ready. */
export interface SlowGoogle {
  url: string
  tokenUrl: string
  keyFile: object
}

/** What it answers to the message `count`: calls since it was last asked, and how late they were. */
export interface GoogleCalls {
  calls: number
  /** Milliseconds that answers were late altogether; they count as ours. */
  lateMs: number
}

const answerAfterMs = Number(process.argv[2])
const driveDir = await mkdtemp(join(tmpdir(), 'testigo-bench-google-'))
let counted: GoogleCalls = { calls: 0, lateMs: 0 }
const google = await startGoogle({
  driveDir,
  conferencePendingMs: 0,
  async beforeAnswer({ service, cameAtMs }) {
    // A token is good for an hour and belongs to no request.
    if (service === 'token') return
    const dueMs = cameAtMs + answerAfterMs
    await delay(Math.max(0, dueMs - performance.now()))
    counted.calls++
    counted.lateMs += Math.max(0, performance.now() - dueMs)
  },
})
const { url, baseUrls, keyFile } = google
process.send?.({ url, tokenUrl: baseUrls.token, keyFile } satisfies SlowGoogle)
process.on('message', () => {
  process.send?.(counted)
  counted = { calls: 0, lateMs: 0 }
})
process.on('disconnect', async () => {
  await google.stop()
  await rm(driveDir, { recursive: true, force: true })
})
