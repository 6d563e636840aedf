// A process that spools a captured file as a recording does, and then waits to be killed. Says every fragment that the
// spool has taken: one JSON line {segment, endMs}.
import { createReadStream } from 'node:fs'
import { systemClock } from '../../clock.ts'
import { openDatabase } from '../../db/connect.ts'
import { createLog } from '../../log.ts'
import { startSegmenter } from '../capture/segmenter.ts'
import type { SegmentOwner } from './segment-queue.ts'
import { openSpool } from './spool.ts'
import { HASTY, storeAt } from './spool-for-tests.ts'

export interface FeedOrder {
  databaseUrl: string
  s3Url: string
  workDir: string
  capture: string
  startedAtMs: number
  owner: SegmentOwner
}

const order = JSON.parse(process.argv[2] ?? '') as FeedOrder
const spool = openSpool(
  {
    db: openDatabase(order.databaseUrl).db,
    store: storeAt(order.s3Url),
    prefix: 'p',
    workDir: order.workDir,
    log: createLog('silent'),
    clock: systemClock,
    boundBytes: 1_000_000_000,
    patience: HASTY,
  },
  order.owner,
)
async function* neverEnding(): AsyncGenerator<Buffer> {
  yield* createReadStream(order.capture) as AsyncIterable<Buffer>
  await new Promise(() => undefined)
}
const segmenter = startSegmenter(neverEnding(), {
  segmentSeconds: 2,
  startedAtMs: order.startedAtMs,
  audioBitrate: 96_000,
  onFragment(fragment) {
    spool.fragment(fragment)
    const { segment, startMs, durationMs } = fragment
    process.stdout.write(`${JSON.stringify({ segment, endMs: startMs + durationMs })}\n`)
  },
})
for await (const segment of segmenter.segments) await spool.take(segment)
