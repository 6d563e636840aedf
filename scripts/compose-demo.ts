// The demo of docker-compose.yml: asks the API in its container for a meeting that is on now, lets people talk, ends the
// call and fetches the video. Exits 0 only if the recording is available, downloaded whole, and its checks hold.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { createApiKey } from '../db/api-keys.ts'
import { openDatabase } from '../db/connect.ts'
import { download, postMeeting, type RecordingView, waitForRecording } from './demo-client.ts'
import { createProgress } from './demo-progress.ts'

const USAGE = `node scripts/compose-demo.ts --api URL --control URL [-- options]

  --api URL        where the API answers
  --control URL    where the sandbox takes orders
  --docs URL       where a person finds the API's pages, to be shown at the end
  --seconds N      how long the call lasts once the bot records (default 30)
  --out DIR        folder for the video (default: the working folder)
`
const CONTROL_LIMIT_MS = 10_000

/** The command cannot be carried out as it was typed or set up; the message says what to do. */
class Refused extends Error {}

interface DemoOptions {
  apiUrl: string
  controlUrl: string
  docsUrl: string
  seconds: number
  out: string
}

function readOptions(args: string[]): DemoOptions {
  const { values } = parseArgs({
    args,
    options: {
      api: { type: 'string' },
      control: { type: 'string' },
      docs: { type: 'string' },
      seconds: { type: 'string', default: '30' },
      out: { type: 'string', default: '.' },
    },
  })
  if (!values.api || !values.control) throw new Refused(USAGE)
  const seconds = Number(values.seconds)
  if (!Number.isInteger(seconds) || seconds < 5 || seconds > 7200)
    throw new Refused(`--seconds takes a whole number from 5 to 7200\n\n${USAGE}`)
  return {
    apiUrl: values.api,
    controlUrl: values.control,
    docsUrl: values.docs ?? `${values.api}/docs`,
    seconds,
    out: values.out,
  }
}

async function demo({ apiUrl, controlUrl, docsUrl, seconds, out }: DemoOptions): Promise<boolean> {
  const { databaseUrl, google } = readConfig(process.env)
  // The sandbox's own account is in the same setting; a real one means that the API talks to Google itself.
  if (!google.apiUrl.startsWith('http://'))
    throw new Refused(
      'A real Google account is set up in .env, and the demo would make a real meeting. Move .env away for the demo.',
    )
  if (databaseUrl === undefined)
    throw new Refused('DATABASE_URL is missing. Set it to the database of the API.')
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)))
  const progress = createProgress(process.stdout)
  await using database = openDatabase(databaseUrl, { max: 2 })
  const { key } = await createApiKey(database.db, {
    organization: 'Clínica Demo',
    name: 'demo',
    role: 'service',
  })
  const meeting = await postMeeting(apiUrl, key, stop.signal)
  progress.step(`Meeting ${meeting.id} at ${meeting.joinUrl}`)
  const waiting = { apiUrl, key, db: database.db, meetingId: meeting.id, progress, signal: stop.signal }
  await waitForRecording({ ...waiting, until: view => view.status === 'recording', limitMs: 120_000 })
  progress.step(`The bot is in the call; people talk for ${seconds} s`)
  const ended = systemClock
    .sleep(seconds * 1000, stop.signal)
    .then(() => endCall(controlUrl, new URL(meeting.joinUrl).pathname.slice(1)))
  const over = waitForRecording({ ...waiting, until: isOver, limitMs: seconds * 1000 + 180_000 })
  const [view] = await Promise.all([over, ended])
  const file = join(out, `${meeting.id}.mp4`)
  if (view.s3) await download(view.s3.url, file, view.sha256, stop.signal)
  report(progress, view, file, docsUrl)
  return (
    view.status === 'available' &&
    view.s3 !== null &&
    view.drive?.status === 'uploaded' &&
    Object.values(view.checks ?? {}).every(check => check.ok)
  )
}

const isOver = (view: RecordingView) =>
  ['failed', 'not_held', 'cancelled'].includes(view.status) ||
  (['available', 'partial'].includes(view.status) && view.drive?.status !== 'pending')

async function endCall(controlUrl: string, code: string): Promise<void> {
  const answer = await fetch(`${controlUrl}/_sandbox/meetings/${code}/end`, {
    method: 'POST',
    signal: AbortSignal.timeout(CONTROL_LIMIT_MS),
  })
  if (!answer.ok)
    throw new Error(`the sandbox does not end the call: ${answer.status} ${await answer.text()}`)
}

function report(
  progress: ReturnType<typeof createProgress>,
  view: RecordingView,
  file: string,
  docsUrl: string,
): void {
  const length = `${((view.durationMs ?? 0) / 1000).toFixed(1)} s, ${((view.sizeBytes ?? 0) / 1e6).toFixed(1)} MB`
  progress.step(`${view.status}${view.ending ? `: ${view.ending.en}` : ''} ${length}`)
  for (const [name, check] of Object.entries(view.checks ?? {}))
    progress.step(`  ${check.ok ? 'ok  ' : 'FAIL'} ${name}: ${check.detail}`)
  if (view.s3) progress.step(`S3:    ${view.s3.url}`)
  if (view.drive?.link) progress.step(`Drive: ${view.drive.link}`)
  progress.step(`File:  ${file} (in this container)`)
  progress.step(`API:   ${docsUrl}`)
}

try {
  process.exitCode = (await demo(readOptions(process.argv.slice(2)))) ? 0 : 1
} catch (error) {
  process.stderr.write(
    error instanceof Refused ? `${error.message}\n` : `The demo broke: ${(error as Error).message}\n`,
  )
  process.exitCode = 1
}
