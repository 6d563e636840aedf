import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { systemClock, TimedOut } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import { findRecording, listSegments } from '../db/recordings.ts'
import type { ContentChecks } from '../db/schema.ts'
import type { Progress } from './demo-progress.ts'

/** What `GET /v1/meetings/{id}/recording` answers, as far as the demo shows it. */
export interface RecordingView {
  status: string
  ending: { word: string; en: string; es: string } | null
  durationMs: number | null
  sizeBytes: number | null
  sha256: string | null
  checks: ContentChecks | null
  s3: { url: string; expiresAt: string } | null
  drive: { link: string | null; status: string } | null
}

/** Posts a meeting that is on now, as XOMA would. */
export async function postMeeting(
  apiUrl: string,
  key: string,
  signal: AbortSignal,
): Promise<{ id: string; joinUrl: string }> {
  const now = Date.now()
  return call(apiUrl, key, '/v1/meetings', signal, {
    topic: 'Consulta de control – Demo',
    description: 'Una consulta de demostración.',
    start: new Date(now).toISOString(),
    end: new Date(now + 3_600_000).toISOString(),
    timeZone: 'America/Bogota',
    participants: [
      { email: 'ana.torres@clinica.example', name: 'Ana Torres', role: 'host' },
      { email: 'luis.gomez@paciente.example', name: 'Luis Gómez' },
    ],
    externalId: `demo-${now}`,
    related: { type: 'case', id: '42' },
  })
}

interface Wait {
  apiUrl: string
  key: string
  db: Database
  meetingId: string
  progress: Progress
  signal: AbortSignal
  until(view: RecordingView): boolean
  limitMs: number
}

/** Looks at the recording until a condition holds, showing what changes. */
export async function waitForRecording({
  apiUrl,
  key,
  db,
  meetingId,
  progress,
  signal,
  until,
  limitMs,
}: Wait): Promise<RecordingView> {
  const startedAt = systemClock.now()
  let last = ''
  while (systemClock.now() - startedAt < limitMs) {
    const view = await call<RecordingView>(apiUrl, key, `/v1/meetings/${meetingId}/recording`, signal)
    if (view.status !== last) progress.step(`recording: ${view.status}`)
    last = view.status
    if (until(view)) return view
    const found = await findRecording(db, { meetingId })
    const stored = found
      ? (await listSegments(db, found.recording.id)).filter(segment => segment.number > 0)
      : []
    const seconds = stored.reduce((sum, segment) => sum + segment.durationMs, 0) / 1000
    progress.live(`${view.status}, ${stored.length} segments on S3 (${seconds.toFixed(0)} s)`)
    await systemClock.sleep(500, signal)
  }
  throw new TimedOut(`the recording (now ${last})`, limitMs)
}

/** Fetches the video through its link and compares it with the SHA-256 the API named. */
export async function download(
  url: string,
  file: string,
  sha256: string | null,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const answer = await fetch(url, { signal })
  if (!answer.ok || !answer.body) throw new Error(`the S3 link answers ${answer.status}`)
  const hash = createHash('sha256')
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(Readable.fromWeb(answer.body as never), hashing, createWriteStream(file), { signal })
  if (hash.digest('hex') !== sha256)
    throw new Error('the downloaded file is not what was recorded: its SHA-256 differs')
}

async function call<Answer>(
  apiUrl: string,
  key: string,
  path: string,
  signal: AbortSignal,
  body?: object,
): Promise<Answer> {
  const answer = await fetch(`${apiUrl}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}: ${text.slice(0, 500)}`)
  return JSON.parse(text) as Answer
}
