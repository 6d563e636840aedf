// The main job from end to end on this machine: a meeting is posted, joined, recorded and downloaded, on the sandbox.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock, TimedOut } from '../clock.ts'
import { createApiKey } from '../db/api-keys.ts'
import { migrateDatabase, openDatabase } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { startSandbox } from '../sandbox/start.ts'
import { download, postMeeting, type RecordingView, waitForRecording } from './demo-client.ts'
import { createProgress } from './demo-progress.ts'
import { startService } from './service-process.ts'

const USAGE = `npm run demo [-- options]

  --seconds N        how long the call lasts once the bot records (default 30)
  --participants N   how many people talk in it, 1 to 6 (default 3)
  --once             stop everything at the end; exit 0 only if the recording is available and its checks hold
  --json             print one JSON line at the end, progress on standard error
`

interface DemoOptions {
  seconds: number
  participants: number
  once: boolean
  json: boolean
}

function readOptions(args: string[]): DemoOptions {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '30' },
      participants: { type: 'string', default: '3' },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) throw new UsageAsked(USAGE)
  const number = (name: 'seconds' | 'participants', from: number, to: number) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < from || value > to)
      throw new UsageAsked(`--${name} takes a whole number from ${from} to ${to}\n\n${USAGE}`)
    return value
  }
  return {
    seconds: number('seconds', 5, 7200),
    participants: number('participants', 1, 6),
    once: values.once,
    json: values.json,
  }
}

class UsageAsked extends Error {}

const root = join(import.meta.dirname, '..')

async function demo(options: DemoOptions): Promise<boolean> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)))
  const progress = createProgress(options.json ? process.stderr : process.stdout)
  const runDir = join(root, '.testigo', `demo-${process.pid}`)
  await mkdir(runDir, { recursive: true })
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(runDir, { recursive: true, force: true }))

  progress.step('Starting PostgreSQL, Google, Meet and S3 of the sandbox')
  const postgres = opened.use(await startEmbeddedPostgres(runDir))
  await migrateDatabase(postgres.url)
  const sandbox = opened.use(
    await startSandbox({
      dir: join(runDir, 'sandbox'),
      calls: { participants: options.participants },
      ...(process.env.CHROMIUM_PATH ? { chromiumPath: process.env.CHROMIUM_PATH } : {}),
    }),
  )
  const database = opened.use(openDatabase(postgres.url))
  const { key } = await createApiKey(database.db, {
    organization: 'Clínica Demo',
    name: 'demo',
    role: 'service',
  })

  progress.step('Starting the API and a recorder')
  const env = {
    ...ordinaryEnvironment(),
    ...sandbox.env,
    DATABASE_URL: postgres.url,
    TESTIGO_DATA_DIR: runDir,
    TESTIGO_LOG_LEVEL: process.env.TESTIGO_LOG_LEVEL ?? 'warn',
    PORT: options.once ? '0' : (process.env.PORT ?? '0'),
  }
  const api = opened.use(
    await startService('api/main.ts', env, { ready: /listens on (http:\/\/[^\s"]+)/i, signal: stop.signal }),
  )
  const recorder = opened.use(
    await startService('recorder/main.ts', env, { ready: /recorder .* is ready/, signal: stop.signal }),
  )
  const apiUrl = api.match[1] ?? ''
  const died = Promise.race([api.died, recorder.died])

  const work = async (): Promise<boolean> => {
    const meeting = await postMeeting(apiUrl, key, stop.signal)
    progress.step(`Meeting ${meeting.id} at ${meeting.joinUrl}`)
    const call = sandbox.meetWeb.meeting(new URL(meeting.joinUrl).pathname.slice(1))
    if (!call) throw new Error('the sandbox does not know the call it was asked to make')
    await waitForRecording({
      apiUrl,
      key,
      db: database.db,
      meetingId: meeting.id,
      progress,
      signal: stop.signal,
      until: view => view.status === 'recording',
      limitMs: 90_000,
    })
    progress.step(`The bot is in the call; people talk for ${options.seconds} s`)
    const joinedAtMs = call.events.findLast(event => event.type === 'joined')?.atMs ?? null
    const ended = systemClock.sleep(options.seconds * 1000, stop.signal).then(() => call.end())
    const view = await waitForRecording({
      apiUrl,
      key,
      db: database.db,
      meetingId: meeting.id,
      progress,
      signal: stop.signal,
      until: isOver,
      limitMs: options.seconds * 1000 + 180_000,
    })
    await ended
    const endedAtMs = call.events.findLast(event => event.type === 'ended')?.atMs ?? null
    const file = join(root, '.testigo', 'recordings', `${meeting.id}.mp4`)
    if (view.s3) await download(view.s3.url, file, view.sha256, stop.signal)
    const checks = view.checks ?? {}
    const good =
      view.status === 'available' &&
      view.drive?.status === 'uploaded' &&
      Object.values(checks).every(check => check.ok)
    report(options, progress, { meeting, view, file, apiUrl, call: { joinedAtMs, endedAtMs } })
    return good
  }
  const good = await Promise.race([work(), died])
  if (!options.once) {
    progress.step(`The stack stays up: ${apiUrl}/docs  (API key: ${key})  Ctrl-C stops it`)
    await Promise.race([
      died,
      new Promise<void>(resolve => stop.signal.addEventListener('abort', () => resolve(), { once: true })),
    ])
  }
  progress.step('Stopping')
  return good
}

const isOver = (view: RecordingView) =>
  ['failed', 'not_held', 'cancelled'].includes(view.status) ||
  (['available', 'partial'].includes(view.status) && view.drive?.status !== 'pending')

interface Outcome {
  meeting: { id: string; joinUrl: string }
  view: RecordingView
  file: string
  apiUrl: string
  /** When the bot came into the call and when the host ended it, as the simulated Meet saw it. */
  call: { joinedAtMs: number | null; endedAtMs: number | null }
}

function report(
  options: DemoOptions,
  progress: ReturnType<typeof createProgress>,
  { meeting, view, file, apiUrl, call }: Outcome,
): void {
  progress.step(
    `${view.status}${view.ending ? `: ${view.ending.en}` : ''} ${((view.durationMs ?? 0) / 1000).toFixed(1)} s, ${((view.sizeBytes ?? 0) / 1e6).toFixed(1)} MB`,
  )
  for (const [name, check] of Object.entries(view.checks ?? {}))
    progress.step(`  ${check.ok ? 'ok  ' : 'FAIL'} ${name}: ${check.detail}`)
  if (view.s3) progress.step(`S3:    ${view.s3.url}`)
  if (view.drive?.link) progress.step(`Drive: ${view.drive.link}`)
  progress.step(`File:  ${file}`)
  if (!options.json) return
  const recording = {
    status: view.status,
    durationMs: view.durationMs,
    sha256: view.sha256,
    s3Url: view.s3?.url ?? null,
    driveUrl: view.drive?.link ?? null,
    file,
    checks: view.checks,
  }
  process.stdout.write(
    `${JSON.stringify({ meetingId: meeting.id, joinUrl: meeting.joinUrl, apiUrl, call, recording })}\n`,
  )
}

/** The environment without settings of ours: the demo runs on embedded defaults whatever the shell has. */
function ordinaryEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TESTIGO_|AWS_)/.test(name)))
}

try {
  const good = await demo(readOptions(process.argv.slice(2)))
  process.exitCode = good ? 0 : 1
} catch (error) {
  const message =
    error instanceof UsageAsked || error instanceof TimedOut
      ? error.message
      : `The demo broke: ${(error as Error).message}`
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
