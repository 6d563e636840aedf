// The sandbox's Google, as far away as the real one: every answer comes at a set time after its request.
import { mkdtemp, rm } from 'node:fs/promises'
import { request as askSandbox, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGoogle } from '../../sandbox/google/server.ts'

/** What the process tells once it is ready. */
export interface SlowGoogle {
  url: string
  /** Not slowed down: a token is good for an hour and belongs to no request. */
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
const google = await startGoogle({ driveDir, conferencePendingMs: 0 })
const { port: sandboxPort } = new URL(google.url)
let counted: GoogleCalls = { calls: 0, lateMs: 0 }

const server = createServer((request, response) => {
  const dueMs = performance.now() + answerAfterMs
  const { method, url, headers } = request
  const inner = askSandbox({ port: sandboxPort, host: '127.0.0.1', method, path: url, headers }, answer => {
    const parts: Buffer[] = []
    answer.on('data', (part: Buffer) => parts.push(part))
    answer.on('end', () => {
      setTimeout(
        () => {
          counted.calls++
          counted.lateMs += Math.max(0, performance.now() - dueMs)
          response.writeHead(answer.statusCode ?? 500, answer.headers).end(Buffer.concat(parts))
        },
        Math.max(0, dueMs - performance.now()),
      )
    })
  })
  inner.on('error', () => response.destroy())
  request.pipe(inner)
})
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  process.send?.({ url, tokenUrl: google.baseUrls.token, keyFile: google.keyFile } satisfies SlowGoogle)
})
process.on('message', () => {
  process.send?.(counted)
  counted = { calls: 0, lateMs: 0 }
})
process.on('disconnect', async () => {
  server.closeAllConnections()
  server.close()
  await google.stop()
  await rm(driveDir, { recursive: true, force: true })
})
