// The whole of Testigo as a customer has it: API and recorder as processes of their own, the outside world simulated.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, TimedOut } from '../../clock.ts'
import { createApiKey } from '../../db/api-keys.ts'
import { type Database, openDatabase } from '../../db/connect.ts'
import { type ServiceProcess, startService } from '../../scripts/service-process.ts'
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts'
import type { Meeting as SimulatedCall } from '../meet-web/meeting.ts'
import { signInProfile } from '../sign-in.ts'
import { type Calls, type Sandbox, type SandboxOptions, startSandbox } from '../start.ts'
import { type StageDatabase, startStageDatabase } from './stage-database.ts'
import { type StageRecorder, startStageRecorder } from './stage-recorder.ts'

export interface MeetingAnswer {
  id: string
  joinUrl: string
  status: string
  actualStart: string | null
  actualEnd: string | null
}

export interface RecordingAnswer {
  status: string
  ending: { word: string } | null
  startedAt: string | null
  endedAt: string | null
  durationMs: number | null
  sizeBytes: number | null
  sha256: string | null
  checks: Record<string, { ok: boolean; detail: string }> | null
  s3: { url: string } | null
  drive: { status: string; link: string | null }
  attempts: { number: number; admittedAt: string | null; ending: { word: string } | null; segments: number }[]
}

export interface Stage extends AsyncDisposable {
  sandbox: Sandbox
  db: Database
  database: StageDatabase
  /** The settings that the services run with; recorders have a data folder and a host name of their own. */
  env: Record<string, string | undefined>
  /** The wire on which the services reach S3. */
  s3Wire: FaultProxy
  api: ServiceProcess
  recorders: StageRecorder[]
  /** One more recorder on a machine of its own; it ends with the stage, or earlier. */
  addRecorder(options: {
    name: string
    dataDir?: string
    diskBytes?: number
    env?: Record<string, string>
  }): Promise<StageRecorder>
  /** Calls the API with the organisation's key; throws when it answers with a problem. */
  ask<Answer>(path: string, request?: { method?: string; body?: object }): Promise<Answer>
  /** Posts a meeting that begins now or in `startsInSeconds` and ends in `endsInSeconds`; its title chooses the call. */
  post(
    title: string,
    endsInSeconds: number,
    more?: { startsInSeconds?: number; redundancy?: 1 | 2 },
  ): Promise<MeetingAnswer>
  call(meeting: MeetingAnswer): SimulatedCall
  recording(meeting: MeetingAnswer): Promise<RecordingAnswer>
  /** Looks until the recording is so, and gives it. */
  until(
    meeting: MeetingAnswer,
    is: (recording: RecordingAnswer) => boolean,
    limitMs: number,
  ): Promise<RecordingAnswer>
}

const FINAL = ['available', 'partial', 'failed', 'not_held', 'cancelled']
/** Has the recording its outcome, Drive included? */
export const isOver = ({ status, drive }: RecordingAnswer) =>
  FINAL.includes(status) && (!['available', 'partial'].includes(status) || drive.status !== 'pending')

/** A small picture and short patience: what is long in life is not the subject here. */
const SMALL: Record<string, string> = {
  TESTIGO_VIDEO_SIZE: '640x360',
  TESTIGO_VIDEO_FPS: '15',
  TESTIGO_VIDEO_BITRATE: '800000',
  TESTIGO_SEGMENT_SECONDS: '2',
  TESTIGO_JOIN_LEAD_SECONDS: '0',
  TESTIGO_NOBODY_CAME_SECONDS: '6',
  TESTIGO_EVERYONE_LEFT_SECONDS: '4',
  TESTIGO_ONLY_BOTS_SECONDS: '4',
  TESTIGO_LOG_LEVEL: 'warn',
}

export interface StageOptions {
  /** What calls are like, by the meeting's title. */
  calls: (title: string) => Calls
  /** Settings on top of the small defaults. */
  env?: Record<string, string>
  /** Host names of the recorders; one of them when absent. */
  recorders?: readonly string[]
  /** Pictures of the people in the calls; small ones when absent. */
  people?: { fps: number; tileSize: { width: number; height: number } }
  /** How Google's conference records follow the calls. */
  conferences?: SandboxOptions['conferences']
  /** A second signed-in account for meetings with two recorders. */
  secondBot?: boolean
  /** Takes what the services print; standard error when absent. */
  onOutput?: (text: string) => void
}

/** Raises the stage: everything on free loopback ports and in a folder of its own, which goes with it. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { onOutput } = options
  await using opened = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'testigo-journey-'))
  opened.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const database = opened.use(await startStageDatabase(join(dir, 'database')))
  const sandbox = opened.use(
    await startSandbox({
      dir: join(dir, 'sandbox'),
      calls: options.calls,
      fps: 15,
      tileSize: { width: 320, height: 180 },
      ...options.people,
      ...(options.conferences ? { conferences: options.conferences } : {}),
    }),
  )
  sandbox.meetWeb.warmUp()
  const s3 = new URL(sandbox.s3.endpoint)
  const s3Wire = opened.use(await startFaultProxy({ target: { host: s3.hostname, port: Number(s3.port) } }))
  const env = {
    ...ordinaryEnvironment(),
    ...sandbox.env,
    ...(options.secondBot ? await signInSecondBot(sandbox, dir) : {}),
    ...SMALL,
    ...options.env,
    TESTIGO_S3_ENDPOINT: s3Wire.url,
    DATABASE_URL: database.url,
    TESTIGO_DATA_DIR: join(dir, 'api'),
    PORT: '0',
  }
  const ready = /listens on (http:\/\/[^\s"]+)/
  const api = opened.use(await startService('api/main.ts', env, { ready, ...(onOutput ? { onOutput } : {}) }))
  let owned = opened
  const addRecorder: Stage['addRecorder'] = async more =>
    owned.use(
      await startStageRecorder({
        dataDir: join(dir, more.name),
        ...more,
        env: { ...env, ...more.env },
        onOutput,
      }),
    )
  const recorders: StageRecorder[] = []
  for (const name of options.recorders ?? ['recorder']) recorders.push(await addRecorder({ name }))
  const connection = opened.use(openDatabase(database.url))
  const { key } = await createApiKey(connection.db, {
    organization: 'Clínica del Norte',
    name: 'journeys',
    role: 'admin',
  })
  const address = api.match[1] ?? ''

  const stage: Omit<Stage, typeof Symbol.asyncDispose> = {
    sandbox,
    db: connection.db,
    database,
    env,
    s3Wire,
    api,
    recorders,
    addRecorder,
    async ask<Answer>(path: string, { method = 'GET', body }: { method?: string; body?: object } = {}) {
      const answer = await fetch(`${address}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(60_000),
      })
      const text = await answer.text()
      if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`)
      return (text === '' ? undefined : JSON.parse(text)) as Answer
    },
    post: (title, endsInSeconds, { startsInSeconds = -1, redundancy } = {}) =>
      stage.ask<MeetingAnswer>('/v1/meetings', {
        method: 'POST',
        body: {
          topic: title,
          start: new Date(Date.now() + startsInSeconds * 1000).toISOString(),
          end: new Date(Date.now() + endsInSeconds * 1000).toISOString(),
          timeZone: 'America/Bogota',
          participants: [{ email: 'ana.torres@clinica.example', name: 'Ana Torres', role: 'host' }],
          ...(redundancy ? { redundancy } : {}),
        },
      }),
    call(meeting) {
      const call = sandbox.meetWeb.meeting(new URL(meeting.joinUrl).pathname.slice(1))
      if (!call) throw new Error(`there is no call at ${meeting.joinUrl}`)
      return call
    },
    recording: meeting => stage.ask<RecordingAnswer>(`/v1/meetings/${meeting.id}/recording`),
    async until(meeting, is, limitMs) {
      const startedAt = Date.now()
      for (;;) {
        const recording = await Promise.race([stage.recording(meeting), api.died])
        if (is(recording)) return recording
        if (Date.now() - startedAt > limitMs)
          throw new TimedOut(
            `the recording of ${meeting.joinUrl} (now ${JSON.stringify(recording)})`,
            limitMs,
          )
        await systemClock.sleep(250)
      }
    },
  }
  owned = opened.move()
  let closed: Promise<void> | undefined
  return Object.assign(stage, {
    [Symbol.asyncDispose]: () => {
      closed ??= owned.disposeAsync()
      return closed
    },
  })
}

async function signInSecondBot(sandbox: Sandbox, dir: string): Promise<Record<string, string>> {
  const profileDir = join(dir, 'second-bot-profile')
  const bot = { email: 'testigo2@clinica.example', name: 'Testigo 2 (grabación)' }
  await signInProfile({ profileDir, ...bot, chromiumArgs: sandbox.meetWeb.chromiumArgs })
  return { TESTIGO_SECOND_BOT_EMAIL: bot.email, TESTIGO_SECOND_BOT_PROFILE: profileDir }
}

function ordinaryEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(TESTIGO_|AWS_|DATABASE_URL$|CHROMIUM_ARGS$)/.test(name),
    ),
  )
}
